"""`nm-bus bench`: how fast nm-bus is on this machine, measured on a broker of its own."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from nm_agents.cli.options import Json
from nm_agents.cli.screen.console import say, screen, show, warn
from nm_agents.cli.screen.printable import as_json
from nm_agents.exits import Exit, ended_by_signals
from nm_lab.bench.aims import Measured

bench = typer.Typer(help="How fast nm-bus is on this machine.", no_args_is_help=True)

Check = Annotated[bool, typer.Option("--check", help="Exit 1 when an aim is missed.")]


@bench.callback()
def _only_a_group() -> None:
    """How fast nm-bus is on this machine, on a private broker in a temporary folder."""


@bench.command()
def ingest(
    *,
    messages: Annotated[
        int, typer.Option("--messages", metavar="N", min=2_000, help="Messages for each reader.")
    ] = 50_000,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="K", min=1, help="How often each reader has a turn.")
    ] = 3,
    json: Json = False,
    check: Check = False,
) -> None:
    """Compare the ingest process with pika alone and with kombu, and two processes with one.

    Messages per second of the reader's processor time; the same messages from the same broker,
    reader by reader in turn. Only the ratios mean something: rates change with the machine.
    Readers have the first processor to themselves, the broker has the others.

    Example: nm-bus bench ingest --messages 20000 --rounds 5

    Exit codes: 0 measured, 1 an aim is missed (with --check), 2 something to correct.
    """
    from nm_lab.bench.ground import ground, temporary  # noqa: PLC0415  slow to load
    from nm_lab.bench.ingest import compare  # noqa: PLC0415
    from nm_lab.bench.processors import serve_apart  # noqa: PLC0415
    from nm_lab.bench.tables import measured_table, stream_json, stream_table  # noqa: PLC0415

    serve_apart()
    found = []
    with _progress() as told, temporary() as folder, ground(folder) as place:
        for stream in compare(place, messages, rounds, time.time(), told):
            found.append(stream)
            if not json:
                show(screen(), stream_table(stream))
                show(screen(), measured_table(stream.measured()))
    if json:
        say(as_json([stream_json(stream) for stream in found], indent=True))
    _verdict(check, (figure for stream in found for figure in stream.measured()))


@bench.command()
def hold(
    *,
    members: Annotated[
        int, typer.Option("--members", metavar="N", min=1, help="Simulated members.")
    ] = 2_000,
    minutes: Annotated[
        float, typer.Option("--minutes", metavar="M", min=1.0, help="How long to watch.")
    ] = 3.0,
    json: Json = False,
    check: Check = False,
) -> None:
    """Let one supernode hold many members, and see whether it calls any of them down.

    Real programs: the broker, the supernode, its ingest process, one member agent. The other
    members are simulated: a heartbeat each 5 s, ten metrics each 30 s.

    Example: nm-bus bench hold --members 2000 --minutes 3

    Exit codes: 0 measured, 1 an aim is missed (with --check), 2 something to correct.
    """
    from nm_lab.bench.ground import temporary  # noqa: PLC0415  slow to load
    from nm_lab.bench.hold import hold as held  # noqa: PLC0415
    from nm_lab.bench.tables import (  # noqa: PLC0415
        held_json,
        held_line,
        held_table,
        measured_table,
    )

    with _progress() as told, temporary() as folder:
        found = held(folder, members, 60 * minutes, told)
    if json:
        say(as_json(held_json(found), indent=True))
    else:
        show(screen(), held_table(found))
        say(held_line(found))
        show(screen(), measured_table(found.measured()))
    _verdict(check, found.measured())


@bench.command()
def fanout(
    *,
    queues: Annotated[
        int, typer.Option("--queues", metavar="N", min=1, max=20_000, help="Inboxes.")
    ] = 1_000,
    updates: Annotated[
        int, typer.Option("--updates", metavar="K", min=1, help="How many updates are published.")
    ] = 21,
    json: Json = False,
    check: Check = False,
) -> None:
    """Publish updates to many inboxes, and compare with the broker's own fan-out.

    From publishing to the last inbox: ours as supernodes and members do it, each inbox decoding,
    verifying and applying; the broker's own with the same bytes and plain pika, in turn.

    Example: nm-bus bench fanout --queues 1000 --updates 21

    Exit codes: 0 measured, 1 an aim is missed (with --check), 2 something to correct.
    """
    from nm_lab.bench.fanout import fanout as fanned_out  # noqa: PLC0415  slow to load
    from nm_lab.bench.ground import ground, temporary  # noqa: PLC0415
    from nm_lab.bench.tables import fanout_json, fanout_table, measured_table  # noqa: PLC0415

    with _progress() as told, temporary() as folder, ground(folder) as place:
        found = fanned_out(place, queues, updates, told)
    if json:
        say(as_json(fanout_json(found), indent=True))
    else:
        show(screen(), fanout_table(found))
        show(screen(), measured_table(found.measured()))
    _verdict(check, found.measured())


@bench.command()
def ledger(
    *,
    supernodes: Annotated[
        int, typer.Option("--supernodes", metavar="N", min=3, max=9, help="Supernodes.")
    ] = 3,
    members: Annotated[
        int, typer.Option("--members", metavar="N", min=1, max=5_000, help="Simulated members.")
    ] = 100,
    changes: Annotated[
        int, typer.Option("--changes", metavar="K", min=1, help="Changes at each place.")
    ] = 100,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.5, help="How long to ask for many.")
    ] = 5.0,
    delay: Annotated[
        float, typer.Option("--delay", metavar="MS", min=0.0, help="One way of a slow link.")
    ] = 50.0,
    deaths: Annotated[
        int, typer.Option("--deaths", metavar="K", min=0, help="How often the last author dies.")
    ] = 3,
    json: Json = False,
    check: Check = False,
) -> None:
    """Measure how long supernodes take to agree, and members to apply what was agreed.

    With links up, with one supernode dead, and with slow links: from put to agreed, to applied at
    the last member, changes per second, beside the raw round trip over the same links. And how
    long a supernode's death holds up the others. Brokers and supernodes are real, the members'
    inboxes are read by one process.

    Example: nm-bus bench ledger --changes 50 --delay 80

    Exit codes: 0 measured, 1 an aim is missed (with --check), 2 something to correct.
    """
    from nm_lab.bench.ground import temporary  # noqa: PLC0415  slow to load
    from nm_lab.bench.ledger import Wanted  # noqa: PLC0415
    from nm_lab.bench.ledger import ledger as agreeing  # noqa: PLC0415
    from nm_lab.bench.tables import (  # noqa: PLC0415
        agreeing_json,
        agreeing_table,
        measured_table,
    )

    wanted = Wanted(supernodes, members, changes, seconds, delay / 1000, deaths)
    with _progress() as told, temporary() as folder:
        found = agreeing(folder, wanted, told)
    if json:
        say(as_json(agreeing_json(found), indent=True))
    else:
        show(screen(), agreeing_table(found))
        show(screen(), measured_table(found.measured()))
    _verdict(check, found.measured())


@bench.command()
def joins(
    *,
    members: Annotated[
        int, typer.Option("--members", metavar="N", min=1, max=20_000, help="Simulated members.")
    ] = 5_000,
    compared: Annotated[
        int,
        typer.Option(
            "--compared",
            metavar="K",
            min=1,
            max=500,
            help="Members of the crowds that are compared.",
        ),
    ] = 500,
    json: Json = False,
    check: Check = False,
) -> None:
    """Let many members join one supernode at once, and see what it costs.

    Three crowds, each on a federation of its own: K members whose inboxes are bound to everything,
    K that live by one component's documents, and N of these. After each, K others join, and what
    comes to the crowd's inboxes because of these is counted.

    Real are the broker, the supernode, its ledger on disk, each member's hello and its inbox. Not
    real: members have no program, no connection and no user of their own; four connections speak
    for all, each hello in its member's name. So TLS handshakes, heartbeats and reading the inboxes
    are not measured. A member without an answer says hello again after 10 s, as real ones do.

    Example: nm-bus bench joins --members 5000 --compared 500

    Exit codes: 0 measured, 1 an aim is missed (with --check), 2 something to correct.
    """
    from nm_lab.bench.ground import temporary  # noqa: PLC0415  slow to load
    from nm_lab.bench.joins import joins as joining  # noqa: PLC0415
    from nm_lab.bench.tables import joins_json, joins_table, measured_table  # noqa: PLC0415

    with _progress() as progress, temporary() as folder:
        found = joining(folder, members, min(members, compared), progress)
    if json:
        say(as_json(joins_json(found), indent=True))
    else:
        show(screen(), joins_table(found))
        show(screen(), measured_table(found.measured()))
    _verdict(check, found.measured())


def _verdict(check: bool, figures: Iterable[Measured]) -> None:
    if check and not all(figure.reached for figure in figures):
        raise typer.Exit(Exit.NEGATIVE)


@contextmanager
def _progress() -> Iterator[Any]:
    """Tell what is being done: in place on a terminal, line by line elsewhere.

    Whatever ends the bench meanwhile, nothing of it is left behind.
    """
    with ended_by_signals(), _telling() as told:
        yield told


@contextmanager
def _telling() -> Iterator[Any]:
    errors = screen(sys.stderr)
    if not errors.is_terminal:
        yield warn
        return
    with errors.status("starting a broker ...") as status:
        yield status.update
