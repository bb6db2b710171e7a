"""Real processes on a real loop: nothing that a plugin does holds the agent up."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nm_agents.member.plugins import OUTPUT_BYTES, Run, start
from nm_bus.core.nagios import PluginVerdict
from nm_bus.messages import CheckStatus
from nm_bus.transport.loop import Loop

LIMIT = 60.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def run(loop: Loop, *command: str, timeout: float = 30.0) -> PluginVerdict:
    """Run a plugin to its verdict, and until nothing of it is left."""
    told: list[PluginVerdict] = []

    def tell(verdict: PluginVerdict) -> None:
        told.append(verdict)
        loop.stop()

    started = start(command, timeout, loop, tell)
    loop.run(LIMIT)
    (verdict,) = told
    wait_until(loop, lambda: started.gone)
    return verdict


def sh(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


@pytest.mark.parametrize(("code", "status"), [(0, "ok"), (1, "warning"), (2, "critical")])
def test_a_plugin_s_exit_code_and_output_are_its_verdict(
    loop: Loop, code: int, status: str
) -> None:
    verdict = run(loop, *sh(f"echo 'HTTP here | time=3ms'; exit {code}"))
    assert (verdict.status, verdict.output) == (status, "HTTP here")
    assert [value.value for value in verdict.values] == [0.003]


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (("/nowhere/check",), "/nowhere/check: there is no such program"),
        (("/etc",), "/etc: cannot be run: Permission denied"),
        (sh("kill -9 $$"), "ended by signal 9, not one of 0 to 3:"),
        (sh("echo hm; exit 77"), "exit code 77, not one of 0 to 3: hm"),
    ],
)
def test_what_cannot_be_run_or_ends_strangely_is_unknown_and_says_why(
    loop: Loop, command: tuple[str, ...], output: str
) -> None:
    verdict = run(loop, *command)
    assert (verdict.status, verdict.output) == (CheckStatus.UNKNOWN, output)


def test_arguments_are_not_read_by_a_shell(loop: Loop, tmp_path: Path) -> None:
    assert run(loop, "/bin/echo", "$HOME", f"; touch {tmp_path}/x").output.startswith("$HOME ;")
    assert not (tmp_path / "x").exists()


def test_a_timeout_kills_the_plugin_and_all_its_children(loop: Loop, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    verdict = run(loop, *sh(f"sleep 1000 & echo $! $$ > {pids}; wait"), timeout=0.5)
    assert verdict.output == "timed out after 0.5 s and was killed"
    child, parent = map(int, pids.read_text().split())
    wait_until(loop, lambda: not runs(child) and not runs(parent))


def test_a_plugin_that_ignores_sigterm_is_killed_all_the_same(loop: Loop) -> None:
    verdict = run(loop, *sh("trap '' TERM; while :; do sleep 0.05; done"), timeout=0.3)
    assert verdict.status is CheckStatus.UNKNOWN


def test_the_loop_goes_on_while_a_plugin_runs(loop: Loop) -> None:
    ticks: list[float] = []

    def tick() -> None:
        ticks.append(loop.now())
        loop.later(0.01, tick)

    tick()
    run(loop, *sh("sleep 0.5"))
    assert len(ticks) > 10


def test_a_plugin_that_prints_without_end_is_bounded_and_timed_out(loop: Loop) -> None:
    before = psutil.Process().memory_info().rss
    verdict = run(loop, "/usr/bin/yes", timeout=0.5)
    assert "timed out" in verdict.output
    assert psutil.Process().memory_info().rss - before < 50 * OUTPUT_BYTES


def test_more_output_than_is_kept_does_not_stop_a_plugin(loop: Loop) -> None:
    script = "print('OK - much | a=1'); print('x' * 1000000)"
    verdict = run(loop, sys.executable, "-c", script)
    assert (verdict.status, verdict.output, len(verdict.values)) == ("ok", "OK - much", 1)


def test_a_plugin_that_leaves_a_child_with_its_output_open_still_ends(loop: Loop) -> None:
    began = time.monotonic()
    assert run(loop, *sh("echo fine; sleep 5 & exit 0")).output == "fine"
    assert time.monotonic() - began < 4.0


def test_bytes_that_are_no_text_do_no_harm(loop: Loop) -> None:
    assert run(loop, *sh(r"printf '\377\376\000ok'")).status is CheckStatus.OK


def test_a_killed_run_tells_nothing_and_leaves_nothing(loop: Loop) -> None:
    told: list[PluginVerdict] = []
    running: Run = start(sh("sleep 1000"), 30.0, loop, told.append)
    running.kill()
    assert running.gone
    assert told == []


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until(loop: Loop, condition: Callable[[], bool], limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end
        loop.run(0.05)


def test_what_a_plugin_prints_to_standard_error_is_its_reason(loop: Loop) -> None:
    verdict = run(loop, *sh("echo 'cannot open /data' >&2; exit 2"))
    assert (verdict.status, verdict.output) == (CheckStatus.CRITICAL, "cannot open /data")


def test_a_plugin_that_fills_standard_error_still_ends(loop: Loop) -> None:
    verdict = run(loop, *sh("head -c 1000000 /dev/zero | tr '\\0' x >&2; echo fine; exit 0"))
    assert (verdict.status, verdict.output) == (CheckStatus.OK, "fine")
