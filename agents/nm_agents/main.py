"""The entry point of the `nm-bus` command: the services at once, everything else for people."""

import sys

from nm_agents.cli.service import is_service, run_service
from nm_agents.exits import check_arguments, ended_well
from nm_agents.streams import check_streams, explained_output


def main() -> int:
    """Run the command that the arguments name; give its exit code."""
    arguments = sys.argv[1:]
    with ended_well():
        service = is_service(arguments)
        check_streams(output=not service)
        check_arguments(arguments)
        return run_service(arguments) if service else _for_people()


def _for_people() -> int:
    """The terminal's libraries are imported here, after the services had their way out."""
    from nm_agents.cli.app import app  # noqa: PLC0415
    from nm_agents.cli.completion import expect_tab  # noqa: PLC0415

    explained_output()
    expect_tab()
    app(prog_name="nm-bus")
    return 0


if __name__ == "__main__":
    sys.exit(main())
