"""How the demonstration is shown: progress while it starts, a line a sentence, a table at the end.

On a terminal what is waited for moves below the lines; in a pipe only the lines are written.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.status import Status
from rich.table import Table

from nm_agents.cli.screen.printable import printable
from nm_bus.messages import Alert, AlertState
from nm_lab.demo.story import Verified


class StageScreen(Console):
    """A console that says a closed pipe once, and then nothing: all must still be ended well."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


class Stage:
    """Where the demonstration speaks. `quiet` says nothing at all."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.console = StageScreen(quiet=quiet, highlight=False)
        self._begun = time.monotonic()
        self._status: Status | None = None

    @contextmanager
    def starting(self, steps: int) -> Iterator["Steps"]:
        """Show how far the start has come."""
        columns = TextColumn("{task.description:45}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, TimeElapsedColumn(), console=self.console) as progress:
            yield Steps(self, progress, progress.add_task("certificates", total=steps))

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Show what is being waited for."""
        with self.console.status("") as self._status:
            yield
        self._status = None

    def tell(self, sentence: str) -> None:
        """Say a sentence."""
        self.console.print(
            f"[dim]{self._clock()}[/dim] [bold]{escape(sentence)}[/bold]", soft_wrap=True
        )

    def hold(self, what: str) -> None:
        """Show what is being waited for."""
        if self._status is not None:
            self._status.update(f"[dim]waiting: {escape(what)}[/dim]")

    def alert(self, alert: Alert) -> None:
        """Show an alert as it arrives."""
        style, mark = ("red", "▲") if alert.state is AlertState.RAISED else ("green", "✓")
        text = escape(printable(f"{mark} {alert.state} {alert.severity}: {alert.summary}"))
        self.console.print(
            f"[dim]{self._clock()}[/dim]   [{style}]{text}[/{style}]", soft_wrap=True
        )

    def line(self, text: str) -> None:
        """Say something by the way."""
        self.console.print(f"[dim]{self._clock()}   {escape(text)}[/dim]", soft_wrap=True)

    def summary(self, verified: list[Verified], untrue: str) -> None:
        """Show what was verified, and what was not true."""
        table = Table("", "verified", "figure", title="What this run has verified")
        for each in verified:
            table.add_row("[green]✓[/green]", each.what, each.figure)
        if untrue:
            table.add_row("[red]✗[/red]", escape(untrue), "")
        self.console.print(table)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._begun:5.1f} s"


class Steps:
    """The steps of the start; in a pipe each is a line."""

    def __init__(self, stage: Stage, progress: Progress, task: TaskID) -> None:
        self._stage, self._progress, self._task = stage, progress, task

    def done(self, what: str) -> None:
        """One more thing is done."""
        self._progress.update(self._task, advance=1, description=what)
        if not self._stage.console.is_terminal:
            self._stage.line(what)
