"""Hooks: the commands that tell a component that its documents are new.

Changes that come close together give one run, and one command runs at a time. A change that comes
while its hook runs gives another run afterwards, so that none is missed.
"""

from collections.abc import Callable, Mapping
from functools import partial

from nm_agents.member import plugins
from nm_agents.member.documents import Changed
from nm_agents.member.plugins import Run, Timers, Told
from nm_bus.core.nagios import PluginVerdict, reason, shortened
from nm_bus.messages import CheckStatus, Seconds
from nm_bus.settings import DocumentsSettings

GATHERED: Seconds = 1.0
"""For so long after a change others are waited for, to be told in the same run."""

NAMES_BYTES = 64 * 1024
"""How long the names may be together: Linux takes no variable of over 128 KiB."""

Environment = Mapping[str, str]
StartHook = Callable[[tuple[str, ...], Environment, Seconds, Timers, Told], Run]
Starting = Callable[[list[Changed]], None]
Ended = Callable[[Changed, str], None]


class Hooks:
    """Runs each component's hook after its documents changed. `starting` is called before a run, to
    keep that it was begun; `ended` after it for each change."""

    def __init__(self, timers: Timers, start: StartHook, starting: Starting, ended: Ended) -> None:
        self._timers, self._start = timers, start
        self._starting, self._ended = starting, ended
        self._gathering: dict[DocumentsSettings, dict[str, Changed]] = {}
        self._ready: list[DocumentsSettings] = []
        self._run: Run | None = None
        self._stopped = False

    def changed(self, change: Changed) -> None:
        """A document changed: its hook runs soon."""
        settings = change.kept.settings
        if settings not in self._gathering:
            self._gathering[settings] = {}
            self._timers.later(GATHERED, partial(self._gathered, settings))
        self._gathering[settings].pop(change.key, None)
        self._gathering[settings][change.key] = change

    def stop(self) -> None:
        """End what runs, and start nothing any more."""
        self._stopped = True
        if self._run is not None:
            self._run.kill()

    def _gathered(self, settings: DocumentsSettings) -> None:
        self._ready.append(settings)
        self._next()

    def _next(self) -> None:
        if self._stopped or self._run is not None or not self._ready:
            return
        settings = self._ready.pop(0)
        changes = list(self._gathering.pop(settings).values())
        self._starting(changes)
        ended = partial(self._told, changes)
        environment = environment_of(changes)
        self._run = self._start(
            settings.hook, environment, settings.hook_timeout, self._timers, ended
        )

    def _told(self, changes: list[Changed], verdict: PluginVerdict) -> None:
        self._run = None
        trouble = "" if verdict.status is CheckStatus.OK else f"the hook failed: {verdict.output}"
        for change in changes:
            self._ended(change, trouble)
        self._next()


def environment_of(changes: list[Changed]) -> dict[str, str]:
    """What a hook is given: the last change, and the names of the documents that changed.

    How many of these did not fit is NM_BUS_LEFT_OUT: then a hook looks at all.
    """
    last, names = changes[-1], _named(changes)
    return {
        "NM_BUS_COMPONENT": last.kept.settings.component,
        "NM_BUS_DOCUMENT": last.name,
        "NM_BUS_REVISION": str(last.revision),
        "NM_BUS_PATH": str(last.path),
        "NM_BUS_DOCUMENTS": " ".join(names),
        "NM_BUS_LEFT_OUT": str(len(changes) - len(names)),
    }


def _named(changes: list[Changed]) -> list[str]:
    """The documents' names, as many as fit into one variable."""
    names, room = [], NAMES_BYTES
    for change in changes:
        room -= len(change.name.encode()) + 1
        if room < 0:
            break
        names.append(change.name)
    return names


def start(
    command: tuple[str, ...],
    environment: Environment,
    timeout: Seconds,
    timers: Timers,
    told: Told,
) -> Run:
    """Run a hook as a plugin is run; what it prints matters only when it fails."""
    return plugins.start(command, timeout, timers, told, environment=environment, judge=judged)


def judged(exit_code: int, text: str, errors: str) -> PluginVerdict:
    """A hook that ended by itself: any exit code but 0 is a failure. Its reason is what it wrote to
    standard error, else the last line that it printed."""
    if exit_code == 0:
        return PluginVerdict(CheckStatus.OK, "")
    how = f"exit code {exit_code}" if exit_code > 0 else f"ended by signal {-exit_code}"
    said = reason(errors) or "".join(text.strip().splitlines()[-1:])
    return PluginVerdict(CheckStatus.CRITICAL, shortened(f"{how}: {said}" if said else how))
