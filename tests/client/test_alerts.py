"""Alerts as a component hears them."""

from collections.abc import Generator

from nm_bus import codec
from nm_bus.client.alerts import each_once
from nm_bus.client.following import Followed, Heard, Quiet, Received
from nm_bus.messages import Alert, AlertState, Severity

NODE = "n1.example.org"


def alert(number: int) -> Alert:
    return Alert(
        alert="down.n1",
        number=number,
        kind="down",
        subject=NODE,
        severity=Severity.CRITICAL,
        state=AlertState.RAISED,
        raised=1.0,
        changed=1.0,
        summary="n1 is down",
        origin=NODE,
    )


def test_each_transition_is_given_once_and_leaves_its_queue_when_it_was_taken() -> None:
    acked: list[str] = []

    def received(supernode: str, number: int) -> Received:
        body = codec.encode(alert(number), source=supernode, id=f"m{number}", time=1.0)
        told = f"{supernode} {number}"
        return Received(supernode, "alerts", "k", body, supernode, lambda: acked.append(told))

    def followed() -> Generator[Followed, None, None]:
        yield Heard("sn1.org")
        yield received("sn1.org", 1)
        yield received("sn2.org", 1)
        yield Received("sn2.org", "alerts", "k", b"nonsense", None, lambda: acked.append("bad"))
        yield Quiet()
        yield received("sn2.org", 2)

    given = each_once(followed())
    assert next(given) == alert(1)
    assert acked == []
    assert next(given) == Quiet()
    assert acked == ["sn1.org 1", "sn2.org 1", "bad"]
    assert next(given) == alert(2)
    given.close()
    assert "sn2.org 2" not in acked
