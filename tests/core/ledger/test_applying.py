"""A change is applied once, alike everywhere, and nothing it holds makes applying fail."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nm_bus.core.ledger import applying
from nm_bus.core.ledger.applying import apply, apply_batch
from nm_bus.core.ledger.chain import GENESIS, digest, feed_head, next_head
from nm_bus.core.ledger.genesis import genesis
from nm_bus.core.ledger.keys import FORMS
from nm_bus.core.ledger.kinds import KINDS
from nm_bus.core.ledger.state import StateSnapshot
from nm_bus.messages import Batch, Change
from nm_lab.samples.desk import Desk, project

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

DOCUMENT = "config/search/a"


def put(sequence: int, content: str = "x", **fields: object) -> Change:
    change = Change(f"pub/a/{sequence}", "pub", "set", DOCUMENT, value={"content": content})
    return msgspec.structs.replace(change, **fields)


def test_an_effective_change_is_the_next_revision_and_link_of_the_chain() -> None:
    state = genesis(project())
    before = state.head
    applied = apply(state, put(1), time=7)
    assert applied.update is not None
    assert applied.answer.revision == applied.update.revision == state.revision == 1
    assert applied.update.previous == before
    done = digest({DOCUMENT: {"content": "x"}})
    assert applied.update.digest == done
    assert applied.update.head == state.head == next_head(before, 1, 7, put(1), done)
    entry = applied.entries[DOCUMENT]
    assert entry is not None
    assert (entry.revision, entry.actor, entry.time) == (1, "pub", 7)
    assert state.get(DOCUMENT) == entry


def test_asked_again_the_answer_is_the_same_and_nothing_is_done() -> None:
    state = genesis(project())
    first = apply(state, put(1, "one"), 1)
    apply(state, put(2, "two"), 2)
    again = apply(state, put(1, "one"), 3)
    assert (again.answer, again.update, again.entries) == (first.answer, None, {})
    assert state.value(DOCUMENT) == {"content": "two"}


def test_a_later_sequence_does_not_swallow_an_earlier_one() -> None:
    state = genesis(project())
    for sequence in (5, 4):
        assert apply(state, put(sequence), 1).update is not None


def test_a_refusal_takes_no_revision_and_stands() -> None:
    desk = Desk()
    head = desk.state.head
    assert desk.refused("eve", "set", DOCUMENT, {"content": "x"}, id="eve/a/1") == "not-allowed"
    desk.done("admin", "set", "role/eve", {"administrator": True})
    assert desk.refused("eve", "set", DOCUMENT, {"content": "x"}, id="eve/a/1") == "not-allowed"
    assert desk.done("eve", "set", DOCUMENT, {"content": "x"}, id="eve/a/2") == 2
    assert desk.state.head != head


def test_the_later_of_two_plain_sets_wins() -> None:
    desk = Desk()
    desk.done("pub", "set", DOCUMENT, {"content": "one"}, base=0)
    desk.done("admin", "set", DOCUMENT, {"content": "two"}, base=0)
    assert desk.state.value(DOCUMENT) == {"content": "two"}


@pytest.mark.parametrize(
    ("expected", "code"), [(0, "conflict"), (1, "conflict"), (2, ""), (3, "conflict")]
)
def test_an_expected_revision_must_be_that_of_the_key(expected: int, code: str) -> None:
    desk = Desk()
    desk.done("pub", "set", "config/search/b", {"content": "x"})
    desk.done("pub", "set", DOCUMENT, {"content": "x"})
    answer = desk.ask("pub", "set", DOCUMENT, {"content": "y"}, expected=expected).answer
    assert answer.code == code


def test_expecting_nothing_needs_a_key_that_is_not_there() -> None:
    desk = Desk()
    assert desk.refused("pub", "set", DOCUMENT, {"content": "x"}, expected=1) == "conflict"
    desk.done("pub", "set", DOCUMENT, {"content": "x"}, expected=0)
    assert desk.refused("admin", "set", "role/admin", {"administrator": True}, expected=0)


def test_who_saw_a_later_revision_saw_another_ledger() -> None:
    assert Desk().refused("pub", "set", DOCUMENT, {"content": "x"}, base=9) == "conflict"


def test_reading_is_agreed_and_changes_nothing_but_the_answers() -> None:
    desk = Desk()
    desk.done("pub", "set", DOCUMENT, {"content": "x"})
    applied = desk.ask("s1.org", "read", "whatever it is")
    assert (applied.answer.revision, applied.update, applied.entries) == (1, None, {})
    assert desk.state.revision == 1


@pytest.mark.parametrize("id_", ["", "pub/a", "admin/a/1", "pub/a/0", "x" * 400])
def test_nobody_takes_the_id_of_another(id_: str) -> None:
    desk = Desk()
    assert desk.refused("pub", "set", DOCUMENT, {"content": "x"}, id=id_)
    assert desk.state.answers.all() == ()


@pytest.mark.parametrize(
    "key", ["", "config", "config/a", "config//a", "config/a/../b", "config/a/.b", "other/x/y"]
)
def test_a_key_that_cannot_be_is_unknown(key: str) -> None:
    assert Desk().refused("admin", "set", key, {"content": "x"}) == "unknown-key"


@pytest.mark.parametrize("kind", ["", "put", "join", "SET"])
def test_a_kind_that_does_not_fit_the_key_is_unknown(kind: str) -> None:
    assert Desk().refused("admin", kind, DOCUMENT, {"content": "x"}) == "unknown-key"


def test_below_the_window_of_answers_a_change_is_too_old() -> None:
    desk = Desk()
    for sequence in range(2, 1_004):
        desk.ask("eve", "read", "read", id=f"eve/a/{sequence}")
    assert desk.refused("eve", "read", "read", id="eve/a/1") == "too-old"


def test_a_full_ledger_takes_no_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.done("pub", "set", DOCUMENT, {"content": "x"})
    monkeypatch.setattr(applying, "MOST_ENTRIES", len(desk.state.entries))
    assert desk.refused("pub", "set", "config/search/b", {"content": "x"}) == "bad-value"
    desk.done("pub", "set", DOCUMENT, {"content": "y"})


def test_a_ledger_full_of_values_takes_only_what_makes_it_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.done("pub", "set", DOCUMENT, {"content": "x" * 100})
    desk.done("pub", "set", "config/search/b", {"content": "x"})
    monkeypatch.setattr(applying, "MOST_VALUES", desk.state.size)
    answer = desk.ask("pub", "set", "config/search/c", {"content": "x"}).answer
    assert answer.code == "bad-value"
    assert answer.reason == f"the values have {desk.state.size} bytes: delete some first"
    assert desk.refused("pub", "set", "config/search/b", {"content": "xy"}) == "bad-value"
    desk.done("pub", "set", "config/search/b", {"content": "y"})
    desk.done("pub", "set", DOCUMENT, {"content": "x" * 50})
    desk.done("pub", "set", "config/search/c", {"content": "x"})
    desk.done("pub", "delete", DOCUMENT)


def test_a_batch_is_applied_in_the_order_of_changes_at_one_time() -> None:
    state = genesis(project())
    late, early = put(1, "late", timestamp=9), put(2, "early", timestamp=8)
    applied = apply_batch(state, Batch("s1.org#genesis", time=100, changes=(late, early)))
    assert [one.change for one in applied] == [early, late]
    assert [one.update.time for one in applied if one.update] == [100, 100]


def test_the_agreed_time_never_goes_back() -> None:
    state = genesis(project())
    for time, agreed in ((100, 100), (50, 101), (101, 102)):
        apply_batch(state, Batch("s1.org#genesis", time=time))
        assert state.time == agreed


def test_every_family_of_keys_has_kinds_of_changes() -> None:
    assert {family for _, family in KINDS} == FORMS.keys()


# --- properties

TEXTS = st.text(max_size=6) | st.characters(categories=["Cs"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
WORDS = [
    "role",
    "state",
    "weight",
    "session",
    "generation",
    "ttl",
    "content",
    "encoding",
    "schema",
    "incarnation",
    "host",
    "port",
    "properties",
    "administrator",
    "publisher",
    "reverts",
]
VALUES = st.dictionaries(st.sampled_from(WORDS), ANY, max_size=5) | ANY
REAL_KEYS = (
    f"{DOCUMENT} member/m1.org supernode/s1.org supernode/s9.org role/admin "
    "record/log/m1.org session/admin/s lock/l policy/alerts silence/1"
).split()
NAMES = sorted({kind for kind, _ in KINDS} | {"read"})


@unhurried
@given(
    st.sampled_from(NAMES) | ANY,
    st.sampled_from(REAL_KEYS) | ANY,
    VALUES,
    st.none() | st.just(0) | ANY,
    st.sampled_from([{}, {"base": 2**60}]) | st.dictionaries(st.just("timestamp"), ANY),
)
def test_nothing_that_a_change_holds_makes_applying_fail(
    kind: str, key: str, value: dict[str, object], expected: int | None, more: dict[str, int]
) -> None:
    desk = Desk()
    desk.done("s1.org", "join", "member/m1.org")
    desk.done("admin", "open", "session/admin/s", {"ttl": 1_000})
    desk.done("admin", "lock", "lock/l", {"session": "session/admin/s"})
    before = desk.state.revision
    applied = desk.ask("admin", kind, key, value, expected=expected, **more)
    assert msgspec.json.decode(msgspec.json.encode(applied.answer))["state"] != "accepted"
    assert (applied.update is not None) is (desk.state.revision == before + 1)
    snapshot = desk.state.snapshot()
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=StateSnapshot) == snapshot


@unhurried
@given(ANY, ANY, ANY, ANY)
def test_nor_does_whoever_asks(id_: str, actor: str, signer: str, supernode: str) -> None:
    change = Change(id_, actor, "read", "read", signer=signer, supernode=supernode)
    answer = apply(genesis(project()), change, 1).answer
    assert msgspec.json.encode(answer)


@unhurried
@given(st.permutations(["join", "join", "join", "leave"]))
def test_joins_and_leaves_of_different_nodes_commute(order: list[str]) -> None:
    desk = Desk()
    desk.done("s1.org", "join", "member/gone.org")
    for number, kind in enumerate(order):
        desk.done("s2.org", kind, "member/gone.org" if kind == "leave" else f"member/m{number}.org")
    states = {entry.key: entry.value["state"] for entry in desk.state.under("member/")}
    assert sorted(states.values()) == ["joined"] * 3 + ["left"]
    assert states["member/gone.org"] == "left"


def test_each_feed_counts_its_own_updates_and_chains_the_heads_of_the_whole() -> None:
    state = genesis(project())
    said = [
        apply(state, put(1, "one"), 1),
        apply(state, Change("pub/a/2", "pub", "open", "session/pub/s", value={"ttl": 15_000}), 2),
        apply(state, put(3, "two"), 3),
        apply(state, Change("pub/a/4", "pub", "lock", "lock/l", value={"session": "s"}), 4),
    ]
    places = [each.update.place for each in said if each.update is not None]

    assert [(place.feed, place.number) for place in places][:3] == [
        ("config/search", 1),
        ("lock", 1),
        ("config/search", 2),
    ]
    first, _, third = places[:3]
    assert (first.previous, third.previous) == (GENESIS, first.head)
    assert third.head == feed_head(first.head, 2, said[2].update.head)  # type: ignore[union-attr]
    assert state.feeds["config/search"] == third
