"""What is said, where it travels, what is decided: the library of nm-bus."""
