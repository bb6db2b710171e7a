"""Which member runs which version of which document."""

from nm_bus.client.federation.documents import documents_of, kept_components, missing
from nm_bus.messages import FollowedFeed, MemberView, Running

from .test_changes import member

A, B = "config/thredds/a.txt", "config/thredds/b.txt"


def runs(node: str, troubles: dict[str, str] | None = None, **documents: int) -> MemberView:
    keys = {f"config/thredds/{name}.txt": revision for name, revision in documents.items()}
    feeds = (FollowedFeed("config/thredds", 1, 3, "h"),)
    return member(node=node, running=Running("i", feeds, keys, troubles or {}))


MEMBERS = (
    runs("well.org", a=3, b=2),
    runs("late.org", a=1),
    runs("hurt.org", {A: "the hook failed"}, a=3),
    member(node="old.org"),
)


def test_those_behind_come_first_and_those_that_tell_nothing_last() -> None:
    found = documents_of(MEMBERS, {A: 3, B: 2})
    assert [(each.node, each.is_well) for each in found] == [
        ("hurt.org", False),
        ("late.org", False),
        ("well.org", True),
        ("old.org", True),
    ]
    assert found[1].documents[0].wanted == 3


def test_one_document_or_one_component_can_be_asked_for() -> None:
    assert all(each.is_well for each in documents_of(MEMBERS, {B: 2}, B))
    assert all(not each.documents for each in documents_of(MEMBERS, {}, "config/thr"))


def test_who_has_documents_of_a_component_and_not_a_revision_is_missing_it() -> None:
    assert kept_components(MEMBERS) == {"thredds"}
    assert missing(MEMBERS, A, 3) == ["late.org", "hurt.org"]
