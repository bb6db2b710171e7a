"""Every id has one answer, whatever comes between; what is forgotten is forgotten alike."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger import answers
from nm_bus.core.ledger.answers import WINDOW, Answers, parts
from nm_bus.messages import Change, Proposed

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def agreed(sequence: int, asker: str = "n1/a") -> Proposed:
    return Proposed(f"{asker}/{sequence}", "agreed", revision=sequence)


def based(id: str, base: int = 0) -> Change:
    return Change(id, "n1", "set", "config/a/b", base)


def test_four_is_answered_though_five_came_first() -> None:
    kept = Answers()
    kept.keep(agreed(5), 0)
    assert kept.find("n1/a/4") is None
    assert not kept.is_too_old(based("n1/a/4"))


def test_an_answer_is_that_of_the_very_id() -> None:
    kept = Answers()
    kept.keep(agreed(5), 0)
    assert kept.find("n1/a/5") == agreed(5)
    for other in ("n1/b/5", "n2/a/5", "n1/a/50", "n1/a/05", "n1/a", "", "//"):
        assert kept.find(other) is None


def test_below_the_window_it_says_too_old() -> None:
    kept = Answers()
    for sequence in range(1, WINDOW + 3):
        kept.keep(agreed(sequence), 0)
    assert [kept.is_too_old(based(f"n1/a/{n}")) for n in (1, 2, 3)] == [True, True, False]
    assert kept.find("n1/a/2") is None
    assert kept.find("n1/a/3") == agreed(3)


def test_a_leap_of_sequences_forgets_nothing() -> None:
    kept = Answers()
    kept.keep(agreed(1), 0)
    kept.keep(agreed(10**14), 0)
    assert kept.find("n1/a/1") == agreed(1)
    assert not kept.is_too_old(based("n1/a/2"))


def test_the_asker_whose_last_answer_is_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "MOST_ASKERS", 2)
    kept = Answers()
    for asker, sequence in (("n1/a", 1), ("n2/a", 1), ("n1/a", 2), ("n3/a", 1)):
        kept.keep(agreed(sequence, asker), 0)
    assert kept.find("n2/a/1") is None
    assert kept.find("n1/a/1") is not None


def test_all_answers_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_ANSWERS", 10)
    kept = Answers()
    for number in range(40):
        kept.keep(agreed(number + 1, f"n{number % 8}/a"), 0)
    assert sum(len(one.answers) for one in kept.all()) <= 10
    assert kept.find("n7/a/40") is not None


@pytest.mark.parametrize("change", ["", "a/b", "a/b/0", "a/b/-1", "a/b/1x", "a b/c/1", "a/b/1\n"])
def test_what_is_no_id_has_no_parts(change: str) -> None:
    assert parts(change) is None


@unhurried
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 40)), unique=True))
def test_begun_again_from_all_it_forgets_what_it_would_have_forgotten(
    asked: list[tuple[str, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "WINDOW", 4)
        patch.setattr(answers, "MOST_ASKERS", 3)
        patch.setattr(answers, "MOST_ANSWERS", 9)
        kept, again = Answers(), Answers()
        for asker, sequence in asked:
            again = Answers(again.all(), again.floor)
            for one in (kept, again):
                if not one.is_too_old(based(f"{asker}/x/{sequence}")):
                    one.keep(agreed(sequence, f"{asker}/x"), sequence)
        assert (kept.all(), kept.floor) == (again.all(), again.floor)


def test_what_a_forgotten_asker_had_answered_is_too_old_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "MOST_ASKERS", 2)
    kept = Answers()
    for revision, asker in ((5, "n1/a"), (6, "n2/a"), (7, "n3/a")):
        kept.keep(agreed(1, asker), revision)
    assert kept.floor == 6, "n1/a was answered at revision 5"
    assert kept.is_too_old(based("n1/a/1", base=4))
    assert kept.is_too_old(based("n9/a/1", base=5)), "whether it was forgotten is not known"
    assert not kept.is_too_old(based("n9/a/1", base=6))
    assert not kept.is_too_old(based("n3/a/2", base=0)), "who is remembered needs no base"


def test_an_asker_that_comes_back_does_not_bring_back_what_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "MOST_ASKERS", 1)
    kept = Answers()
    kept.keep(agreed(1, "n1/a"), 5)
    kept.keep(agreed(1, "n2/a"), 6)
    kept.keep(agreed(2, "n1/a"), 9)
    assert kept.is_too_old(based("n1/a/1", base=4))
    again = Answers(kept.all(), kept.floor)
    assert again.is_too_old(based("n1/a/1", base=4))
    assert not again.is_too_old(based("n1/a/3", base=9))
