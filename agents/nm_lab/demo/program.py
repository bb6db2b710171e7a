"""`nm-bus demo`: a federation on this machine, a story that checks itself, and everything ended."""

import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from nm_agents.exits import ended_by_signals
from nm_agents.folder import writable
from nm_lab.demo.plot import SUPERNODES, members, plan, write_checks
from nm_lab.demo.stage import Stage
from nm_lab.demo.story import Story
from nm_lab.federation.building import Federation
from nm_lab.federation.eyes import AlertWatch, Eyes, UntrueError


def demo(
    stay: Annotated[
        bool, typer.Option("--stay", help="Leave it running afterwards, until Ctrl-C.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="Work here and keep it; else a temporary one."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the summary, as JSON.")] = False,
) -> None:
    """Show the whole on this machine: brokers, supernodes, members, failures, alerts.

    Three brokers with mutual TLS, three supernodes and twelve members run as processes of their
    own on loopback addresses. It takes about two minutes and leaves nothing behind.

    Example: nm-bus demo --stay

    Exit codes: 0 the story was verified, 1 something was not as it should be, 2 something to
    correct, 130 ended by Ctrl-C.
    """
    stage = Stage(quiet=json)
    with _folder(folder) as place, ended_by_signals():
        untrue, story = _played(stage, place, stay=stay)
    if json:
        told = {"ok": not untrue, "untrue": untrue, "verified": story.verified}
        typer.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    if untrue:
        raise typer.Exit(1)


def _played(stage: Stage, place: Path, *, stay: bool) -> tuple[str, Story]:
    federation = Federation(plan(place))
    alerts = AlertWatch(federation.administrator, stage.alert, federation.lifeline)
    story = Story(federation, Eyes(federation.administrator), alerts, stage.tell, stage.hold)
    try:
        _start(stage, federation, alerts)
        untrue = _told(stage, story)
        if stay and not untrue:
            _stay(stage, federation)
    finally:
        stage.line("ending everything")
        alerts.stop()
        federation.stop()
    return untrue, story


def _told(stage: Stage, story: Story) -> str:
    """Play the story and show what was verified; gives what was not true, or nothing."""
    untrue = ""
    try:
        with stage.playing():
            story.play()
    except UntrueError as error:
        untrue = str(error)
    stage.summary(story.verified, untrue)
    return untrue


def _start(stage: Stage, federation: Federation, alerts: AlertWatch) -> None:
    with stage.starting(steps=1 + 2 * len(SUPERNODES) + len(members())) as steps:
        federation.told = steps.done
        write_checks(federation.plan.folder)
        federation.build()
        steps.done("certificates and settings are written")
        federation.start_brokers()
        for supernode in SUPERNODES:
            federation.start_supernode(supernode)
        for member in members():
            federation.start_member(member)
    federation.told = stage.line
    alerts.start()


def _stay(stage: Stage, federation: Federation) -> None:
    config = shlex.quote(str(federation.administrator))
    stage.tell("It stays. Try these in another terminal; Ctrl-C here ends it all.")
    first = next(iter(members()))
    for words in (
        "status --watch",
        f"top {first}",
        f"ask {first} status",
        "alerts watch",
        "tail heartbeat",
        "doctor",
    ):
        stage.console.print(f"  nm-bus {words} --config {config}", markup=False, soft_wrap=True)
    with suppress(KeyboardInterrupt):
        signal.pause()


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        writable(wanted)
        yield wanted.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="nm-bus-demo-"))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
