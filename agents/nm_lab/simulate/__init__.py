"""The agreement under fire: a soup of messages, a monitor that sees all, bugs that it must find."""
