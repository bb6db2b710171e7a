"""What holds however changes come: in any order, twice, from anyone, over a snapshot in between."""

from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger.applying import apply, apply_batch
from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.state import State, StateSnapshot
from nm_bus.messages import Batch, Change
from nm_lab.samples.desk import project

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DOCUMENT = "config/search/a"

ACTORS = ("admin", "pub", "eve", "s1.org", "s2.org", "m1.org", "m2.org", "m3.org")
SESSIONS = tuple(f"session/{actor}/{n}" for actor in ("admin", "eve") for n in "ab")
LOCKS = ("lock/x", "lock/y")


Asked = tuple[str, str, dict[str, Any] | None]


def _ask(
    kinds: tuple[str, ...], keys: tuple[str, ...], *values: dict[str, Any] | None
) -> st.SearchStrategy[Asked]:
    return st.tuples(st.sampled_from(kinds), st.sampled_from(keys), st.sampled_from(values))


ASKED = st.one_of(
    _ask(("set", "delete"), (DOCUMENT, "config/search/b"), {"content": "1"}, {"content": "2"}),
    _ask(("join", "leave", "maintain", "resume"), tuple(f"member/m{n}.org" for n in "123"), None),
    _ask(("remove",), ("member/m1.org",), None),
    _ask(
        ("admit", "dismiss"),
        tuple(f"supernode/s{n}.org" for n in "1234"),
        {"role": "voter"},
        {"role": "standby", "incarnation": "i"},
        {"role": "voter", "incarnation": "i"},
    ),
    _ask(("open", "close"), SESSIONS, {"ttl": 1_000}),
    _ask(("expire",), SESSIONS, *({"generation": n} for n in range(1, 12))),
    _ask(("lock", "unlock"), LOCKS, *({"session": session} for session in SESSIONS)),
    _ask(("read",), ("read",), None),
)
ONE = st.tuples(st.sampled_from(ACTORS), st.integers(1, 6), ASKED, st.integers(0, 3))


def _change(asked: tuple[str, int, Asked, int]) -> Change:
    """One of few: so the same id comes again, with the same content and with another."""
    actor, sequence, (kind, key, value), timestamp = asked
    id_ = f"{actor}/i/{sequence}"
    return Change(id_, actor, kind, key, value=value, timestamp=timestamp, supernode="s1.org")


BATCHES = st.lists(st.lists(ONE.map(_change), max_size=8), max_size=8)


def _batches(changes: list[list[Change]]) -> list[Batch]:
    return [Batch("s1.org#genesis", time=n, changes=tuple(some)) for n, some in enumerate(changes)]


@unhurried
@given(BATCHES, st.integers(0, 8))
def test_a_snapshot_and_the_rest_end_where_all_of_it_ends(
    changes: list[list[Change]], cut: int
) -> None:
    whole, half = genesis(project()), genesis(project())
    for batch in _batches(changes):
        apply_batch(whole, batch)
    for batch in _batches(changes)[:cut]:
        apply_batch(half, batch)
    text = msgspec.json.encode(half.snapshot())
    half = State.of(msgspec.json.decode(text, type=StateSnapshot))
    for batch in _batches(changes)[cut:]:
        apply_batch(half, batch)
    assert half == whole


@unhurried
@given(BATCHES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_inside_a_batch(
    changes: list[list[Change]], chance: Random
) -> None:
    one, other = genesis(project()), genesis(project())
    for batch in _batches(changes):
        distinct = tuple({(c.timestamp, c.id): c for c in batch.changes}.values())
        shuffled = list(distinct)
        chance.shuffle(shuffled)
        apply_batch(one, msgspec.structs.replace(batch, changes=distinct))
        apply_batch(other, msgspec.structs.replace(batch, changes=tuple(shuffled)))
    assert one == other


@unhurried
@given(BATCHES)
def test_the_updates_alone_lead_to_the_same_entries(changes: list[list[Change]]) -> None:
    """Revisions are 1..R, each head follows from the last, and no id is answered twice."""
    state, replayed = genesis(project()), genesis(project())
    answers: dict[str, object] = {}
    for batch in _batches(changes):
        for applied in apply_batch(state, batch):
            assert answers.setdefault(applied.answer.id, applied.answer) == applied.answer
            if applied.update is not None:
                update = applied.update
                assert (update.revision, update.previous) == (replayed.revision + 1, replayed.head)
                again = apply(replayed, update.change, update.time)
                assert (again.update, again.entries) == (update, applied.entries)
    assert (replayed.entries, replayed.head) == (state.entries, state.head)


@unhurried
@given(BATCHES)
def test_a_lock_has_one_holder_whose_session_is_open_and_its_tokens_grow(
    changes: list[list[Change]],
) -> None:
    state = genesis(project())
    tokens = dict.fromkeys(LOCKS, 0)
    for batch in _batches(changes):
        for applied in apply_batch(state, batch):
            for key in LOCKS & applied.entries.keys():
                entry = applied.entries[key]
                if entry is not None:
                    assert entry.value["token"] == applied.answer.revision > tokens[key]
                    tokens[key] = entry.value["token"]
            for lock in state.under("lock/"):
                session = state.value(lock.value["session"])
                assert session is not None
                assert session["owner"] == lock.value["owner"]
                assert session["generation"] <= lock.value["token"]


@unhurried
@given(BATCHES)
def test_there_is_always_a_voter_and_every_member_has_a_home_that_votes(
    changes: list[list[Change]],
) -> None:
    state = genesis(project())
    for batch in _batches(changes):
        apply_batch(state, batch)
        homes = {voter.partition("#")[0] for voter in state.voters}
        assert homes
        for member in state.under("member/"):
            gone = member.value["state"] == "left"
            assert member.value["home"] in ({""} if gone else homes)
