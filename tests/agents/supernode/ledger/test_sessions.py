"""A session ends when its owner is silent everywhere, and stays while any supernode hears of it."""

from collections.abc import Callable, Iterable

import pytest

from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.listeners import Done
from nm_agents.supernode.ledger.sessions import Sessions
from nm_bus.core.ledger.vigil import Vigil
from nm_bus.core.view import View
from nm_bus.messages import Change, Entry

from .conftest import ADMIN, Crowd

TTL, GRACE = 10, 6
KEY = f"session/{ADMIN}/one"


class Watched:
    """Supernodes that speak each second, and a session that is open in their ledger."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.sessions: list[Sessions] = []
        crowd.awake()
        for site in crowd:
            view = View(site.node, 12.0)
            self.sessions.append(Sessions(site.ledger, view, Vigil(GRACE), crowd.clock.now))
            self.sessions[-1].start()
        value = {"ttl": TTL * 1000}
        first = self.sessions[0].driver
        first.propose(Change(f"{ADMIN}/x/1", ADMIN, "open", KEY, value=value), lambda _: None)
        crowd.settle()

    def pass_time(
        self, seconds: int, *, heard_at: int | None = None, speaking: Iterable[int] = (0, 1, 2)
    ) -> None:
        for _ in range(seconds):
            self.crowd.clock.advance(1.0)
            if heard_at is not None:
                self.sessions[heard_at].asked(KEY, ADMIN)
            for speaker in (self.sessions[n] for n in speaking):
                signs = speaker.vigil.tell()
                for other in self.sessions:
                    other.told(signs)
                    other.view.heard(speaker.driver.node, self.crowd.clock.now())

    def entry(self) -> Entry | None:
        return self.sessions[0].driver.state.get(KEY)


@pytest.fixture
def watched(make_crowd: Callable[..., Crowd]) -> Watched:
    return Watched(make_crowd(3))


def test_a_session_lives_while_one_supernode_hears_of_its_owner(watched: Watched) -> None:
    for heard_at in (0, 1, 2):
        watched.pass_time(2 * (TTL + GRACE), heard_at=heard_at)
        assert watched.entry() is not None


def test_a_session_ends_once_when_its_owner_is_silent_everywhere(watched: Watched) -> None:
    watched.pass_time(TTL, heard_at=1)
    watched.pass_time(TTL)
    assert watched.entry() is not None
    watched.pass_time(2 * GRACE)
    watched.crowd.settle()
    assert watched.entry() is None
    assert watched.sessions[0].driver.state.revision == 2


def test_sessions_that_are_silent_together_end_together_so_many_at_a_time(
    make_crowd: Callable[..., Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nm_agents.supernode.ledger.sessions.MOST_ENDED", 10)
    ended: list[int] = []
    propose_all = LedgerDriver.propose_all

    def counted(driver: LedgerDriver, asked: list[tuple[Change, Done]]) -> list[str]:
        ended.extend([len(asked)] if asked and asked[0][0].kind == "expire" else [])
        return propose_all(driver, asked)

    monkeypatch.setattr(LedgerDriver, "propose_all", counted)
    watched = Watched(make_crowd(1))
    driver = watched.sessions[0].driver
    for number in range(24):
        key, value = f"session/{ADMIN}/{number}", {"ttl": TTL * 1000}
        change = Change(f"{ADMIN}/y/{number + 1}", ADMIN, "open", key, value=value)
        driver.propose(change, lambda _: None)
    watched.pass_time(2 * (TTL + GRACE), speaking=(0,))
    assert ended == [10, 10, 5]
    assert driver.state.count("session/") == 0


def test_who_hears_no_majority_ends_nothing(watched: Watched) -> None:
    watched.pass_time(TTL)
    watched.pass_time(3 * (TTL + GRACE), speaking=())
    assert watched.entry() is not None


def test_reading_another_ones_session_is_no_sign_of_its_life(watched: Watched) -> None:
    watched.sessions[0].asked(KEY, "guest.example.org")
    assert watched.sessions[0].vigil.tell() == ()


def test_a_sign_for_what_is_no_session_is_not_told(watched: Watched) -> None:
    """The others would refuse all that its supernode says."""
    sessions = watched.sessions[0]
    sessions.asked(f"session/{ADMIN}/{'x' * 400}", ADMIN)
    sessions.asked(KEY, ADMIN)
    assert sessions.vigil.tell() == (KEY,)
