"""The self-checks: which plugin runs when. One at a time, so that checks never crowd their host."""

from collections import deque
from collections.abc import Callable
from functools import partial

from nm_agents.member.plugins import Run, Timers, Told
from nm_bus.core.agent import start_times
from nm_bus.core.nagios import PluginVerdict, failed
from nm_bus.messages import Seconds
from nm_bus.settings import CheckSettings

SPREAD_WITHIN = 15.0
"""All checks run for the first time within these seconds, or within the shortest interval."""

MOST_ASKERS = 16
"""How many may wait for a check that was asked for; one more is refused."""

Start = Callable[[tuple[str, ...], Seconds, Timers, Told], Run]
Result = Callable[[str, PluginVerdict], None]


class Checks:
    """Runs each check when it is due or asked for, and tells every result to `result`."""

    def __init__(
        self, checks: tuple[CheckSettings, ...], timers: Timers, start: Start, result: Result
    ) -> None:
        self._checks = {check.name: check for check in checks}
        self._timers, self._start, self._result = timers, start, result
        self._waiting: deque[str] = deque()
        self._runs: dict[str, Run] = {}
        self._running: str | None = None
        self._askers: list[tuple[str, Told]] = []
        self._stopped = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the checks that are configured."""
        return tuple(self._checks)

    def begin(self, chance: float) -> None:
        """Spread the first runs; `chance` is a random number in [0, 1)."""
        within = min([SPREAD_WITHIN, *(check.interval for check in self._checks.values())])
        times = start_times(len(self._checks), within, chance)
        for name, delay in zip(self._checks, times, strict=True):
            self._timers.later(delay, partial(self._due, name))

    def ask(self, name: str, answered: Told) -> bool:
        """Run a check now and tell the verdict; False when too many wait already."""
        if len(self._askers) >= MOST_ASKERS:
            return False
        self._askers.append((name, answered))
        if name != self._running:
            self._queue(name, first=True)
        return True

    def stop(self) -> None:
        """End what runs, and start nothing any more."""
        self._stopped = True
        for run in self._runs.values():
            run.kill()

    def _due(self, name: str) -> None:
        self._timers.later(self._checks[name].interval, partial(self._due, name))
        if name != self._running:
            self._queue(name)

    def _queue(self, name: str, *, first: bool = False) -> None:
        if name in self._waiting:
            if not first:
                return
            self._waiting.remove(name)
        if first:
            self._waiting.appendleft(name)
        else:
            self._waiting.append(name)
        self._next()

    def _next(self) -> None:
        if self._stopped or self._running is not None or not self._waiting:
            return
        name = self._running = self._waiting.popleft()
        before, check = self._runs.get(name), self._checks[name]
        if before is not None and not before.gone:
            stuck = failed("the run before this one was killed and does not end")
            self._timers.later(0.0, partial(self._ended, name, stuck))
            return
        ended = partial(self._ended, name)
        self._runs[name] = self._start(check.command, check.timeout, self._timers, ended)

    def _ended(self, name: str, verdict: PluginVerdict) -> None:
        self._running = None
        self._result(name, verdict)
        answers = [answered for asked, answered in self._askers if asked == name]
        self._askers = [asker for asker in self._askers if asker[0] != name]
        for answered in answers:
            answered(verdict)
        self._next()
