"""The services' commands: `member run`, `supernode run`, `ingest run`.

A member agent lives in few megabytes, so this reads its arguments with argparse and imports one
program; what only people at a terminal need is never loaded.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

SERVICES = ("member", "supernode", "ingest")

DESCRIPTIONS = {
    "member": "Run the member agent: heartbeats, metrics and self-checks of this host.",
    "supernode": "Run a supernode: its members, its peers, its alerts, its answers.",
    "ingest": "Run one ingest process of a supernode, which reads one share of its members.",
}

EXAMPLES = {
    "member": "member.toml",
    "supernode": "supernode.toml",
    "ingest": "supernode.toml --partition 0",
}


def is_service(arguments: Sequence[str]) -> bool:
    """Whether these arguments start a service."""
    return len(arguments) >= 2 and arguments[0] in SERVICES and arguments[1] == "run"


def run_service(arguments: Sequence[str]) -> int:
    """Run the service that the arguments name until it ends; give its exit code."""
    name = arguments[0]
    options = _parser(name).parse_args(arguments[2:])
    if name == "ingest":
        return run_ingest(options.config, options.partition)
    return run_member(options.config) if name == "member" else run_supernode(options.config)


def run_member(config: Path) -> int:
    """Run a member agent."""
    from nm_agents.member.program import run  # noqa: PLC0415

    return run(config)


def run_supernode(config: Path) -> int:
    """Run a supernode."""
    from nm_agents.supernode.program import run  # noqa: PLC0415

    return run(config)


def run_ingest(config: Path, partition: int) -> int:
    """Run one ingest process."""
    from nm_agents.ingest.program import run  # noqa: PLC0415

    return run(config, partition)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"nm-bus {name} run",
        description=DESCRIPTIONS[name],
        epilog=f"Example: nm-bus {name} run --config /etc/nm-bus/cmip6/{EXAMPLES[name]}",
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the settings file"
    )
    if name == "ingest":
        parser.add_argument(
            "--partition", type=int, required=True, metavar="N", help="which share, from 0"
        )
    return parser
