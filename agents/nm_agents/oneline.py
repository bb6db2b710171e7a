"""Text that keeps to its line, whoever sent it: for logs, and for the sentence of an error."""


def one_line(text: str) -> str:
    """Text without anything that could begin a line or move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text)
