"""Hooks: one run for changes that come together, none missed, and failures told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_agents.member import hooks
from nm_agents.member.documentfolder import DocumentFolder
from nm_agents.member.documents import Changed, KeptComponent
from nm_agents.member.hooks import Environment, Hooks
from nm_agents.member.plugins import Run, Timers, Told
from nm_bus.core.nagios import PluginVerdict
from nm_bus.messages import CheckStatus, Seconds
from nm_bus.settings import DocumentsSettings
from nm_bus.testing.clock import VirtualClock
from nm_bus.transport.loop import Loop

from .conftest import FakeRun

OK = PluginVerdict(CheckStatus.OK, "")


@dataclass
class Host:
    """Starts hooks that end when the test says so."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    told: list[dict[str, str]] = field(default_factory=list)
    runs: list[FakeRun] = field(default_factory=list)
    ended: list[tuple[str, int, str]] = field(default_factory=list)
    begun: list[list[Changed]] = field(default_factory=list)

    def start(
        self,
        command: tuple[str, ...],
        environment: Environment,
        timeout: Seconds,
        timers: Timers,
        told: Told,
    ) -> Run:
        self.told.append(dict(environment))
        self.runs.append(FakeRun(command, told))
        return self.runs[-1]

    def done(self, change: Changed, trouble: str) -> None:
        self.ended.append((change.name, change.revision, trouble))


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def its_hooks(host: Host) -> Hooks:
    return Hooks(host.clock, host.start, host.begun.append, host.done)


def kept(component: str = "thredds") -> KeptComponent:
    settings = DocumentsSettings(component, Path("/etc") / component, hook=("reload", component))
    return KeptComponent(settings, DocumentFolder(settings.folder))


def change(name: str, revision: int, component: str = "thredds") -> Changed:
    return Changed(kept(component), f"config/{component}/{name}", name, revision)


def test_a_hook_is_told_what_changed(host: Host, its_hooks: Hooks) -> None:
    its_hooks.changed(change("a.xml", 7))
    host.clock.advance(1.0)
    assert host.runs[0].command == ("reload", "thredds")
    assert host.told == [
        {
            "NM_BUS_COMPONENT": "thredds",
            "NM_BUS_DOCUMENT": "a.xml",
            "NM_BUS_REVISION": "7",
            "NM_BUS_PATH": "/etc/thredds/a.xml",
            "NM_BUS_DOCUMENTS": "a.xml",
            "NM_BUS_LEFT_OUT": "0",
        }
    ]


def test_changes_close_together_give_one_run(host: Host, its_hooks: Hooks) -> None:
    for revision, name in enumerate(["a", "b", "a"], start=1):
        its_hooks.changed(change(name, revision))
        host.clock.advance(0.3)
    host.clock.advance(60.0)
    assert [told["NM_BUS_DOCUMENTS"] for told in host.told] == ["b a"]
    host.runs[0].end(OK)
    assert host.ended == [("b", 2, ""), ("a", 3, "")]


def test_a_change_while_the_hook_runs_gives_another_run_afterwards(
    host: Host, its_hooks: Hooks
) -> None:
    its_hooks.changed(change("a", 1))
    host.clock.advance(1.0)
    its_hooks.changed(change("a", 2))
    host.clock.advance(5.0)
    assert len(host.runs) == 1
    host.runs[0].end(OK)
    assert [told["NM_BUS_REVISION"] for told in host.told] == ["1", "2"]


def test_one_hook_runs_at_a_time(host: Host, its_hooks: Hooks) -> None:
    its_hooks.changed(change("a", 1))
    its_hooks.changed(change("a", 2, "solr"))
    host.clock.advance(5.0)
    assert len(host.runs) == 1
    host.runs[0].end(PluginVerdict(CheckStatus.UNKNOWN, "timed out after 30 s and was killed"))
    assert len(host.runs) == 2
    assert host.ended == [("a", 1, "the hook failed: timed out after 30 s and was killed")]


def test_stopping_ends_what_runs(host: Host, its_hooks: Hooks) -> None:
    its_hooks.changed(change("a", 1))
    host.clock.advance(1.0)
    its_hooks.changed(change("a", 2))
    its_hooks.stop()
    host.clock.advance(5.0)
    assert host.runs[0].gone
    assert len(host.runs) == 1


@pytest.mark.parametrize(
    ("code", "text", "status", "output"),
    [
        (0, "anything", "ok", ""),
        (1, "one\ntwo\n", "critical", "exit code 1: two"),
        (3, "", "critical", "exit code 3"),
        (-9, "", "critical", "ended by signal 9"),
    ],
)
def test_any_exit_code_but_0_is_a_failure(code: int, text: str, status: str, output: str) -> None:
    assert hooks.judged(code, text, "") == PluginVerdict(CheckStatus(status), output)


def test_a_hook_s_reason_is_what_it_wrote_first_to_standard_error() -> None:
    said = "\nFailed to reload: Access denied\nSee the logs for details.\n"
    assert hooks.judged(1, "one\n", said).output == "exit code 1: Failed to reload: Access denied"


@pytest.fixture
def run() -> Callable[..., PluginVerdict]:
    def run(*command: str, timeout: float = 30.0) -> PluginVerdict:
        told: list[PluginVerdict] = []
        loop = Loop()

        def look() -> None:
            if told and started.gone:
                loop.stop()
            loop.later(0.02, look)

        started = hooks.start(command, {"NM_BUS_DOCUMENT": "a b"}, timeout, loop, told.append)
        look()
        loop.run(60.0)
        loop.close()
        return told[0]

    return run


def test_a_real_hook_has_its_environment_and_no_shell(run: Callable[..., PluginVerdict]) -> None:
    assert run("/bin/sh", "-c", 'test "$NM_BUS_DOCUMENT" = "a b" && test -n "$PATH"') == OK
    failed = run("/bin/sh", "-c", 'echo "no $NM_BUS_DOCUMENT"; exit 4')
    assert failed.output == "exit code 4: no a b"


def test_a_hook_that_takes_too_long_is_killed(run: Callable[..., PluginVerdict]) -> None:
    assert run("/bin/sleep", "60", timeout=0.2).output == "timed out after 0.2 s and was killed"


def test_a_hook_that_is_not_there_is_told(run: Callable[..., PluginVerdict]) -> None:
    assert run("/nowhere/hook").output == "/nowhere/hook: there is no such program"


def test_the_reason_of_a_hook_that_fails_is_what_it_printed_to_standard_error() -> None:
    verdict = hooks.judged(1, "stopping\n", "Failed to reload thredds: Access denied\n")
    assert verdict.output == "exit code 1: Failed to reload thredds: Access denied"


def test_names_that_do_not_fit_into_a_variable_are_counted() -> None:
    changes = [change(f"{n:045}", n) for n in range(10_000)]
    environment = hooks.environment_of(changes)
    named = environment["NM_BUS_DOCUMENTS"].split()
    assert len(environment["NM_BUS_DOCUMENTS"]) <= hooks.NAMES_BYTES
    assert len(named) + int(environment["NM_BUS_LEFT_OUT"]) == len(changes)
    assert max(len(value) for value in environment.values()) < 128 * 1024


def test_a_run_is_kept_before_it_begins(host: Host, its_hooks: Hooks) -> None:
    its_hooks.changed(change("a.xml", 7))
    host.clock.advance(1.0)
    assert [[each.name for each in begun] for begun in host.begun] == [["a.xml"]]
