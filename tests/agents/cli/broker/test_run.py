import signal
from pathlib import Path

import pytest

from nm_agents.cli.broker.run import ToldToStop, chosen_program, until_told
from nm_broker.program import Installed, Unpacked

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_work_in_good_order(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    done = []
    with until_told():
        try:
            signal.raise_signal(number)
            done.append("went on")
        finally:
            done.append("stopped")
    assert done == ["stopped"]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_signal_finds_the_old_handlers() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []
    with until_told():
        try:
            signal.raise_signal(signal.SIGTERM)
        except ToldToStop:
            seen.append(signal.getsignal(signal.SIGINT))
            raise
    assert seen == [before]


def test_rabbitmq_is_the_systems_or_the_one_that_was_named(tmp_path: Path) -> None:
    assert chosen_program(None) == Installed()
    assert chosen_program(tmp_path) == Unpacked(tmp_path)
    (tmp_path / "rabbitmq-server").touch()
    assert chosen_program(tmp_path) == Installed(tmp_path)
