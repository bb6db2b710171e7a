"""How the demonstration speaks: nothing that is told can break the telling."""

import io

import pytest

from nm_bus.messages import Alert, AlertState, Severity
from nm_lab.demo.stage import Stage, StageScreen

NASTY = "\x1b[2J [/] [bold] [/red]"


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.console = StageScreen(file=io.StringIO(), highlight=False)
    return stage


def told(stage: Stage) -> str:
    assert isinstance(stage.console.file, io.StringIO)
    return stage.console.file.getvalue()


def test_what_a_check_prints_is_neither_markup_nor_a_command_to_the_terminal(stage: Stage) -> None:
    raised = (AlertState.RAISED, Severity.CRITICAL, "check-critical", "n1.example.org", NASTY)
    stage.alert(Alert("a", 1, *raised, 0.0, 0.0, "sn1.example.org"))
    stage.tell(NASTY)
    stage.line(NASTY)
    stage.summary([], NASTY)
    assert told(stage).count("[/red]") == 4
    assert "\x1b[2J" not in told(stage).splitlines()[0]


class Closed(io.StringIO):
    def write(self, _text: str) -> int:
        raise BrokenPipeError


def test_a_closed_pipe_is_said_once_so_that_all_can_still_be_ended() -> None:
    screen = StageScreen(file=Closed())
    with pytest.raises(BrokenPipeError):
        screen.print("one")
    screen.print("two")
