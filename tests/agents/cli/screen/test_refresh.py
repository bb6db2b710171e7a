import io
import json

import pytest

from nm_agents.cli.screen.console import screen, show
from nm_agents.cli.screen.refresh import Latest
from nm_bus.errors import ConnectionLostError, RefusedError

NOON = 1_790_000_000.0


class Source:
    """Gives what it is told to give, or raises it."""

    def __init__(self, *said: object) -> None:
        self._said = list(said)

    def __call__(self) -> str:
        said = self._said.pop(0)
        if isinstance(said, Exception):
            raise said
        return str(said)


def drawn(latest: Latest[str]) -> str:
    latest.refresh()
    out = io.StringIO()
    show(screen(out, 120), latest.page(lambda value: f"<{value}>"))
    return out.getvalue()


def test_the_last_picture_is_kept_while_nobody_answers() -> None:
    gone = ConnectionLostError("no supernode can be reached")
    latest = Latest(Source("one", gone, "two"), lambda: NOON)
    assert drawn(latest) == "<one>\n"
    assert drawn(latest) == (
        "No answer: no supernode can be reached. This was so at 14:13:20 UTC.\n<one>\n"
    )
    assert drawn(latest) == "<two>\n"


def test_nothing_known_yet_is_said() -> None:
    assert drawn(Latest(Source(ConnectionLostError("gone")))) == "No answer: gone.\n"


def test_a_line_has_the_value_or_the_error_never_an_old_value() -> None:
    latest = Latest(Source("one", ConnectionLostError("gone")))
    latest.refresh()
    assert json.loads(latest.line(lambda value: {"is": value})) == {"is": "one"}
    latest.refresh()
    assert json.loads(latest.line(lambda value: {"is": value})) == {"error": "gone"}


def test_a_refusal_ends_the_watch() -> None:
    with pytest.raises(RefusedError):
        Latest(Source(RefusedError("not allowed"))).refresh()
