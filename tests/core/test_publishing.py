import pytest

from nm_bus.core.publishing import (
    DELETED,
    Action,
    Agree,
    Base,
    Delete,
    Folder,
    Forget,
    HeldDocument,
    Put,
    Refuse,
    decide,
    to_ask,
)

A, B, X = "config/thredds/a.xml", "config/thredds/b.xml", "config/solr/a.xml"
COMPONENTS = frozenset({"thredds", "solr"})
BY_ME = Base(5, "one")


def one(
    digest: str | None, held: HeldDocument | None, base: Base | None, *, allow_empty: bool = False
) -> list[Action]:
    """What is decided on one document of a component that has another one."""
    documents = {B: "other"} | ({A: digest} if digest else {})
    memory = {A: base} if base else {}
    folder = Folder(documents, COMPONENTS)
    return decide(folder, {A: held}, memory, allow_empty=allow_empty)


@pytest.mark.parametrize(
    ("digest", "held", "base", "action"),
    [
        # file, ledger, what the folder saw
        ("one", None, None, Put(A, "one", 0)),
        ("two", HeldDocument(5, "one", "me"), BY_ME, Put(A, "two", 5)),
        ("one", HeldDocument(5, "one", "me"), BY_ME, Agree(A, BY_ME)),
        ("one", HeldDocument(9, "one", "eve"), None, Agree(A, Base(9, "one"))),
        ("one", HeldDocument(9, "one", "eve"), Base(5, "old"), Agree(A, Base(9, "one"))),
        # put by us, though we did not hear that it was agreed
        ("two", HeldDocument(6, "new", "me"), Base(5, "old", ("new",)), Put(A, "two", 6)),
        ("two", HeldDocument(6, "new", "me"), Base(0, "", ("new",)), Put(A, "two", 6)),
        # deleted by us, and there again
        ("two", None, Base(5, "one", (DELETED,)), Put(A, "two", 0)),
        # somebody else put the same content again
        ("two", HeldDocument(8, "one", "eve"), BY_ME, Put(A, "two", 8)),
        # deleted here
        (None, HeldDocument(5, "one", "me"), BY_ME, Delete(A, 5)),
        (None, None, BY_ME, Forget(A)),
        (None, None, Base(5, "one", (DELETED,)), Forget(A)),
        (None, HeldDocument(6, "new", "me"), Base(5, "one", ("new",)), Delete(A, 6)),
    ],
)
def test_what_nobody_else_touched_follows_the_folder(
    digest: str | None, held: HeldDocument | None, base: Base | None, action: Action
) -> None:
    assert one(digest, held, base) == [action]


@pytest.mark.parametrize(
    ("digest", "held", "base", "because"),
    [
        (
            "two",
            HeldDocument(7, "eves", "eve"),
            BY_ME,
            "changed meanwhile at revision 7 by eve: see",
        ),
        (
            "one",
            HeldDocument(7, "eves", "eve"),
            BY_ME,
            "changed meanwhile at revision 7 by eve: see",
        ),
        (
            "one",
            HeldDocument(7, "eves", "eve"),
            None,
            "changed meanwhile at revision 7 by eve: see",
        ),
        ("two", None, BY_ME, "deleted from the ledger meanwhile: see"),
        (
            None,
            HeldDocument(7, "eves", "eve"),
            BY_ME,
            "deleted here, but changed meanwhile at revision 7",
        ),
    ],
)
def test_what_somebody_else_changed_is_left_to_a_person(
    digest: str | None, held: HeldDocument | None, base: Base | None, because: str
) -> None:
    (refusal,) = one(digest, held, base)
    assert isinstance(refusal, Refuse)
    assert refusal.reason.startswith(because)
    assert "nm-bus config diff thredds/a.xml" in refusal.reason


def test_what_was_accepted_and_is_not_agreed_yet_is_not_forgotten() -> None:
    assert one(None, None, Base(0, "", ("one",))) == []


def test_nothing_is_decided_on_what_still_changes() -> None:
    folder = Folder({A: "two"}, COMPONENTS, frozenset({A, B}))
    ledger = {A: HeldDocument(5, "one", "me"), B: HeldDocument(5, "one", "me")}
    assert decide(folder, ledger, {A: BY_ME, B: BY_ME}) == []


def lost(*keys: str, components: frozenset[str] = COMPONENTS) -> list[Action]:
    memory = {key: Base(5, key) for key in keys}
    ledger = {key: HeldDocument(5, key, "me") for key in keys}
    return decide(Folder({}, components), ledger, memory)


def test_the_only_document_of_a_component_can_be_deleted() -> None:
    assert lost(A) == [Delete(A, 5)]


def test_a_component_that_lost_everything_at_once_keeps_it_in_the_ledger() -> None:
    (refusal,) = lost(A, B)
    assert isinstance(refusal, Refuse)
    assert refusal.key == "config/thredds"
    assert "lost all its documents at once: 2 of them stay in the ledger" in refusal.reason
    assert "--allow-empty" in refusal.reason


def test_nothing_is_deleted_while_files_are_still_being_removed() -> None:
    memory = {A: Base(5, "a"), B: Base(6, "b")}
    folder = Folder({}, COMPONENTS, unsure=frozenset({B}), leaving=frozenset({B}))
    assert decide(folder, {A: HeldDocument(5, "a", "me")}, memory) == []


def test_a_component_whose_folder_vanished_keeps_even_its_only_document() -> None:
    (refusal,) = lost(A, components=frozenset({"solr"}))
    assert isinstance(refusal, Refuse)
    assert "is not there any more: 1 of them" in refusal.reason


def test_whoever_means_it_can_delete_everything() -> None:
    memory = {key: Base(5, key) for key in (A, B, X)}
    ledger = {key: HeldDocument(5, key, "me") for key in (A, B, X)}
    actions = decide(Folder({}), ledger, memory, allow_empty=True)
    assert sorted(actions, key=str) == sorted((Delete(k, 5) for k in (A, B, X)), key=str)


def test_a_moved_folder_is_put_at_its_new_place_and_then_deleted_at_its_old_one() -> None:
    new = {key: key.replace("thredds", "catalogs") for key in (A, B)}
    folder = Folder({new[A]: "a", new[B]: "b"}, frozenset({"catalogs"}))
    memory = {A: Base(5, "a"), B: Base(6, "b")}
    ledger = {
        A: HeldDocument(5, "a", "me"),
        B: HeldDocument(6, "b", "me"),
        new[A]: None,
        new[B]: None,
    }
    assert decide(folder, ledger, memory) == [
        Put(new[A], "a", 0),
        Put(new[B], "b", 0),
        Delete(A, 5, moved_to=new[A]),
        Delete(B, 6, moved_to=new[B]),
    ]


def test_a_twin_that_was_there_before_is_no_move() -> None:
    folder = Folder({X: "same"}, frozenset({"solr"}))
    memory = {A: Base(5, "same"), X: Base(4, "same")}
    ledger = {A: HeldDocument(5, "same", "me")}
    (refusal,) = decide(folder, ledger, memory)
    assert isinstance(refusal, Refuse)


def test_the_ledger_is_asked_only_for_what_differs_from_what_was_seen() -> None:
    folder = Folder({A: "one", B: "new", X: "x"}, COMPONENTS, frozenset({"config/solr/b"}))
    memory = {
        A: BY_ME,
        B: Base(5, "old"),
        "config/solr/gone": BY_ME,
        "config/solr/b": BY_ME,
    }
    assert to_ask(folder, memory) == {B, X, "config/solr/gone"}
    assert to_ask(Folder({A: "one"}), {A: Base(5, "one", ("two",))}) == {A}


def test_only_the_last_proposals_are_remembered() -> None:
    base = BY_ME
    for digest in "abcdefg":
        base = base.asking(digest)
    assert base == Base(5, "one", ("c", "d", "e", "f", "g"))
