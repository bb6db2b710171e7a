"""An error becomes one sentence and one exit code, and nothing that is a bug of ours is hidden."""

import errno
import signal

import pytest

from nm_agents.exits import Exit, ended_by_signals, ended_well, exit_code
from nm_bus.errors import (
    BrokerStartError,
    ConfigError,
    ConnectionLostError,
    NmBusError,
    RefusedError,
    StorageError,
    TimedOutError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a.toml", "is wrong"), Exit.CONFIG),
        (RefusedError("no"), Exit.CONFIG),
        (StorageError("the disk is full"), Exit.CONFIG),
        (ConnectionLostError("gone"), Exit.LATER),
        (TimedOutError("silence"), Exit.LATER),
        (BrokerStartError("did not come up"), Exit.LATER),
    ],
)
def test_an_error_is_one_sentence_and_its_code(
    error: NmBusError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(error) is code
    with pytest.raises(SystemExit) as end, ended_well():
        raise error
    assert end.value.code == code
    assert capsys.readouterr().err == f"nm-bus: {error}\n"


def test_an_error_s_text_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), ended_well():
        raise RefusedError("no\x1b[2J\nfake")
    assert capsys.readouterr().err == "nm-bus: no [2J fake\n"


def test_a_file_that_may_not_be_used_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, ended_well():
        raise PermissionError(errno.EACCES, "Permission denied", "/etc/nm-bus/admin.toml")
    assert end.value.code == Exit.CONFIG
    assert capsys.readouterr().err == (
        "nm-bus: /etc/nm-bus/admin.toml: Permission denied; see who may use it\n"
    )


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), ended_well():
        raise ZeroDivisionError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_program_that_is_told_to_end_ends_as_by_ctrl_c(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        signal.raise_signal(number)


def test_signals_mean_what_they_did_before_once_it_is_over() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals():
        pass
    assert signal.getsignal(signal.SIGTERM) is before
