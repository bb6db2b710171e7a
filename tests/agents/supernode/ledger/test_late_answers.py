"""An answer that comes late, after a thousand others, is the same after a restart."""

from collections.abc import Callable

import pytest

from nm_bus.core.ledger import answers

from .conftest import Crowd

Make = Callable[..., Crowd]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three answers are kept of an asker."""
    monkeypatch.setattr(answers, "WINDOW", 3)


def answered_late(make_crowd: Make) -> Crowd:
    """Three supernodes that decided a change after three later ones of its asker."""
    crowd = make_crowd(3)
    crowd.awake()
    first = next(iter(crowd))
    for number in (2, 3, 4, 1):
        first.put(number, "asker")
        crowd.settle()
    return crowd


def test_a_late_answer_that_slides_out_at_once_is_kept_as_the_watermark_on_disk(
    make_crowd: Make,
) -> None:
    crowd = make_crowd(1)
    crowd.awake()
    (site,) = crowd
    for number in (2, 3, 4, 1):  # 1 waited at a supernode that was cut off
        site.put(number, "asker")
    crowd.settle()
    before = site.ledger.state.snapshot()
    site.kill()
    site.start()
    assert site.ledger.state.snapshot() == before


def test_a_change_is_never_applied_twice_after_a_restart(
    make_crowd: Make,
) -> None:
    crowd = answered_late(make_crowd)
    first, *others = crowd
    for site in crowd:
        site.kill()
        site.start()
    crowd.awake()
    others[0].put(1, "asker")
    crowd.settle()
    assert first.ledger.state.revision == 4


def test_who_restarted_and_who_did_not_have_one_history(
    make_crowd: Make,
) -> None:
    crowd = answered_late(make_crowd)
    first, *others = crowd
    first.kill()
    first.start()
    crowd.awake()
    others[0].put(1, "asker")
    crowd.clock.advance(30.0)
    assert [site.ledger.reason for site in crowd] == ["", "", ""]
    assert {site.ledger.state.revision for site in crowd} == {4}
