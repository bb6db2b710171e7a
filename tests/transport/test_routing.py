"""How a broker routes: topic patterns word by word, and keys spread by weight, always alike."""

from collections import Counter

import pytest

from nm_bus.transport.memory_broker import spread, topic_matches

KEYS = [f"gov.llnl.n{n}" for n in range(1_000)]


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("gov.llnl.n1", "gov.llnl.n1", True),
        ("gov.llnl.n1", "gov.llnl.n2", False),
        ("gov.*.n1", "gov.llnl.n1", True),
        ("gov.*.n1", "gov.n1", False),
        ("gov.#", "gov", True),
        ("gov.#", "gov.llnl.n1", True),
        ("gov.#", "governor.llnl", False),
        ("#.n1", "gov.llnl.n1", True),
        ("*.#.n1", "gov.n1", True),
        ("*.#.n1", "n1", False),
        ("#", "", True),
        ("*", "", False),
        ("", "", True),
    ],
)
def test_a_star_is_one_word_and_a_hash_any_number(pattern: str, key: str, matches: bool) -> None:
    assert topic_matches(pattern, key) is matches


def test_a_key_goes_to_the_same_place_of_every_exchange_that_is_bound_in_the_same_order() -> None:
    heartbeats, metrics = [("h0", 10), ("h1", 10)], [("m0", 10), ("m1", 10)]
    for key in KEYS:
        assert spread(key, heartbeats)[1] == spread(key, metrics)[1]


def test_keys_are_spread_by_weight() -> None:
    shares = Counter(spread(key, [("light", 1), ("heavy", 3)]) for key in KEYS)
    assert shares["heavy"] == pytest.approx(750, abs=100)


def test_a_place_without_weight_gets_nothing() -> None:
    assert {spread(key, [("none", 0), ("all", 10)]) for key in KEYS} == {"all"}
