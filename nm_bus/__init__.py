"""What is said, where it travels, what is decided: the library of nm-bus."""

__version__ = "0.1.0"
