"""The one table of commands: who uses each of them, what `nm-bus --help` says of it, where it is.

A row names its function or group as text, because a command's module is imported only when that
command is run or its help is asked for. These are the only names of the laboratory in a program.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """One command, or one group of them; `place` is `module:name`."""

    name: str
    summary: str
    place: str


TABLE = {
    "For administrators": (
        Command("status", "The federation in one screen.", "nm_agents.cli.status:status"),
        Command("top", "One node's metrics, with history.", "nm_agents.cli.top:top"),
        Command("ask", "Ask a member itself.", "nm_agents.cli.ask:ask"),
        Command("alerts", "Alerts, as they happen and now.", "nm_agents.cli.alerts:alerts"),
        Command("tail", "Live messages, one line each.", "nm_agents.cli.tail:tail"),
        Command("doctor", "What is wrong, and what to do.", "nm_agents.cli.doctor.command:doctor"),
        Command(
            "member",
            "Who belongs; and the member agent (a service).",
            "nm_agents.cli.member:members",
        ),
        Command(
            "supernode",
            "Who decides; and a supernode (a service).",
            "nm_agents.cli.supernode:supernodes",
        ),
        Command("role", "Who may do what.", "nm_agents.cli.role:roles"),
        Command("log", "What was agreed, the newest first.", "nm_agents.cli.log:log"),
        Command("show", "One revision of the ledger.", "nm_agents.cli.show:show_revision"),
        Command("outcome", "What became of a change.", "nm_agents.cli.outcome:outcome"),
        Command("fsck", "Whether all supernodes have the same history.", "nm_agents.cli.fsck:fsck"),
    ),
    "For those who run nodes": (
        Command(
            "setup",
            "Settings files from a few questions and a certificate.",
            "nm_agents.cli.setup.commands:setup",
        ),
        Command("init", "A supernode's ledger.", "nm_agents.cli.init:init"),
        Command(
            "broker",
            "A supernode's RabbitMQ: set up, admit, look.",
            "nm_agents.cli.broker.group:broker",
        ),
        Command("ingest", "One ingest process (a service).", "nm_agents.cli.ingest:ingest"),
        Command("dead", "Messages that were refused.", "nm_agents.cli.dead:dead"),
        Command(
            "files",
            "The example settings and systemd units that come with nm-bus.",
            "nm_agents.cli.files:files",
        ),
        Command(
            "pki",
            "A certificate authority for trials; real enrolment replaces it.",
            "nm_agents.cli.pki:pki",
        ),
    ),
    "For components": (
        Command(
            "config",
            "Configuration documents, and their past.",
            "nm_agents.cli.config.group:config",
        ),
        Command(
            "record",
            "Component records: endpoints, software and more.",
            "nm_agents.cli.record:records",
        ),
        Command("lock", "Locks: who holds them, and to hold one.", "nm_agents.cli.lock:locks"),
    ),
    "For trying out": (
        Command("demo", "A whole federation here, and a story.", "nm_lab.demo.program:demo"),
        Command("bench", "How fast nm-bus is on this machine.", "nm_lab.bench.commands:bench"),
        Command(
            "simulate", "The ledger's agreement under fire.", "nm_lab.simulate.commands:simulate"
        ),
    ),
    "About nm-bus": (
        Command("help", "How a command is used.", "nm_agents.cli.help:help_on"),
        Command("version", "The version.", "nm_agents.cli.app:version"),
        Command("completion", "Tab for bash, zsh, fish.", "nm_agents.cli.completion:completion"),
    ),
}
"""By who uses them, in the order of `nm-bus --help`."""

ROWS = {row.name: row for rows in TABLE.values() for row in rows}
