"""The entry point of the `nm-bus` command."""


def main() -> None:
    """Run the command line."""
