"""Which member runs which version of which document, and which of them are behind. Pure.

A member tells the feeds that it lives by: those of the components whose documents it keeps. Which
names of a component it keeps it does not tell: one without a document may not want it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nm_bus.documents.names import PREFIX, named
from nm_bus.messages import MemberView, NodeId


@dataclass(frozen=True, slots=True)
class RunningDocument:
    """What a member runs of a document: `wanted` is the ledger's revision, 0 when deleted there."""

    document: str
    running: int
    wanted: int
    trouble: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it is what the ledger has, and nothing went wrong."""
        return self.running == self.wanted and not self.trouble


@dataclass(frozen=True, slots=True)
class MemberDocuments:
    """The documents of a member; `feeds` has how far it is in each feed that it lives by, and is
    None when it never told what it runs."""

    node: NodeId
    health: str
    feeds: dict[str, int] | None
    documents: tuple[RunningDocument, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether it runs all that it keeps as the ledger has it."""
        return all(document.is_well for document in self.documents)


def documents_of(
    members: Iterable[MemberView], revisions: dict[str, int], prefix: str = PREFIX
) -> list[MemberDocuments]:
    """What every member runs of the documents under a prefix, those behind first.

    `revisions` are the ledger's, by key.
    """
    found = [_documents(view, revisions, prefix) for view in members]
    return sorted(found, key=lambda each: (each.is_well, each.feeds is None, each.node))


def _documents(view: MemberView, revisions: dict[str, int], prefix: str) -> MemberDocuments:
    state = view.state
    if state.running is None:
        return MemberDocuments(state.node, state.health, None)
    documents = tuple(
        RunningDocument(
            key.removeprefix(PREFIX),
            state.running.documents.get(key, 0),
            revisions.get(key, 0),
            state.running.troubles.get(key, ""),
        )
        for key in sorted(_keys(view))
        if key == prefix or key.startswith(prefix.rstrip("/") + "/")
    )
    feeds = {each.feed: each.number for each in state.running.feeds}
    return MemberDocuments(state.node, state.health, feeds, documents)


def kept_components(members: Iterable[MemberView]) -> set[str]:
    """The components whose documents members keep."""
    return {
        name.removeprefix(PREFIX)
        for member in members
        for name in _feeds(member)
        if name.startswith(PREFIX)
    }


def _feeds(member: MemberView) -> set[str]:
    running = member.state.running
    return {each.feed for each in running.feeds} if running else set()


def _keys(member: MemberView) -> set[str]:
    running = member.state.running
    return {*running.documents, *running.troubles} if running else set()


def missing(members: Iterable[MemberView], key: str, revision: int) -> list[NodeId]:
    """The members that have documents of the key's component, and not this revision of it."""
    component, _ = named(key)
    return [
        member.state.node
        for member in members
        if _has_any(member, component) and _revision(member, key) < revision
    ]


def _has_any(member: MemberView, component: str) -> bool:
    return any(named(key)[0] == component for key in _keys(member))


def _revision(member: MemberView, key: str) -> int:
    """What it runs; something that went wrong with the document means that it does not run it."""
    running = member.state.running
    if running is None or key in running.troubles:
        return 0
    return running.documents.get(key, 0)
