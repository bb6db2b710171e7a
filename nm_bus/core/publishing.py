"""What a folder of documents asks of the ledger: what to propose, to delete, or to refuse, and why.

Pure: the folder, the ledger and what this folder last saw of it come in as they stand, actions go
out. The folder publishes one way. It never writes over what it has not seen, and what somebody
else changed meanwhile is left to a person; a folder that vanished as a whole deletes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nm_bus.documents import named
from nm_bus.documents.names import PREFIX
from nm_bus.messages.base import Nested

Key = str
Digest = str
"""The sha256 of a document's bytes."""

DELETED: Digest = "deleted"
"""Stands among what was proposed for no document at all."""

MOST_PROPOSED = 5
"""How many proposals of a document are remembered until one of them is seen in the ledger."""


class Base(Nested, frozen=True):
    """What this folder last saw of a document in the ledger: its revision (0: nothing yet) and
    content. `proposed` are the contents that it asked for since: they are no surprise."""

    revision: int = 0
    digest: Digest = ""
    proposed: tuple[Digest, ...] = ()

    def asking(self, digest: Digest) -> "Base":
        """The same, once this content is asked for as well."""
        return Base(self.revision, self.digest, (*self.proposed, digest)[-MOST_PROPOSED:])


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """A document as the ledger has it, and who wrote it."""

    revision: int
    digest: Digest
    actor: str


@dataclass(frozen=True, slots=True)
class Folder:
    """The documents in the folder, and the components' folders that are there.

    `unsure` are the keys of which nothing can be said now: of a file that still changes, or of one
    in a folder that cannot be read. Those among them whose files are just gone are `leaving`.
    """

    documents: Mapping[Key, Digest]
    components: frozenset[str] = frozenset()
    unsure: frozenset[Key] = frozenset()
    leaving: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Agree:
    """Folder and ledger say the same: remember it."""

    key: Key
    base: Base


@dataclass(frozen=True, slots=True)
class Forget:
    """The document is in neither of them any more."""

    key: Key


@dataclass(frozen=True, slots=True)
class Put:
    """Propose the file's content, if the ledger still has the document as expected."""

    key: Key
    digest: Digest
    expected: int


@dataclass(frozen=True, slots=True)
class Delete:
    """Propose to delete a document; one that was moved only once it is agreed at its new place."""

    key: Key
    expected: int
    moved_to: Key = ""


@dataclass(frozen=True, slots=True)
class Refuse:
    """A person must look: at a document, or at a whole component when `key` names no document."""

    key: Key
    reason: str


Action = Agree | Forget | Put | Delete | Refuse

Ledger = Mapping[Key, HeldDocument | None]
Memory = Mapping[Key, Base]


def to_ask(folder: Folder, memory: Memory) -> set[Key]:
    """The keys whose place in the ledger has to be known: all where folder and memory differ."""
    changed = {
        key
        for key, digest in folder.documents.items()
        if (base := memory.get(key)) is None or base.digest != digest or base.proposed
    }
    return (changed | (memory.keys() - folder.documents.keys())) - folder.unsure


def decide(
    folder: Folder, ledger: Ledger, memory: Memory, *, allow_empty: bool = False
) -> list[Action]:
    """What to do, deletions last. Only keys in `ledger` are decided upon; None: not in it.

    `allow_empty`: a component's folder that vanished, or lost all its documents, means it.
    """
    sure = sorted(ledger.keys() - folder.unsure)
    present = [
        _present(key, folder, ledger[key], memory) for key in sure if key in folder.documents
    ]
    absent = [
        _absent(key, folder, ledger[key], memory)
        for key in sure
        if key not in folder.documents and key in memory
    ]
    return present + list(_without_wipes(absent, folder, allow_empty))


def _present(key: Key, folder: Folder, held: HeldDocument | None, memory: Memory) -> Action:
    digest, base = folder.documents[key], memory.get(key, Base())
    if held is not None and held.digest == digest:
        return Agree(key, Base(held.revision, digest))
    if _is_as_seen(base, held):
        return Put(key, digest, held.revision if held else 0)
    return Refuse(key, _meanwhile(key, held))


def _absent(key: Key, folder: Folder, held: HeldDocument | None, memory: Memory) -> Action | None:
    base = memory[key]
    if held is None:
        # what was accepted, but is not agreed yet, may still come
        return None if set(base.proposed) - {DELETED} else Forget(key)
    if _is_as_seen(base, held):
        return Delete(key, held.revision, _moved_to(base, folder, memory))
    return Refuse(key, f"deleted here, but {_meanwhile(key, held)}")


def _is_as_seen(base: Base, held: HeldDocument | None) -> bool:
    """Whether the ledger has what this folder saw there, or asked for itself."""
    if held is None:
        return base.revision == 0 or DELETED in base.proposed
    return held.revision == base.revision or held.digest in (base.digest, *base.proposed)


def _meanwhile(key: Key, held: HeldDocument | None) -> str:
    name = key.removeprefix(PREFIX)
    settle = f"see `nm-bus config diff {name}`; to insist, `nm-bus config put`"
    if held is None:
        return f"deleted from the ledger meanwhile: {settle}"
    return f"changed meanwhile at revision {held.revision} by {held.actor}: {settle}"


def _moved_to(base: Base, folder: Folder, memory: Memory) -> Key:
    """Where a document went: the same content at a new place, which was not agreed before."""
    places = (
        key
        for key, digest in folder.documents.items()
        if digest == base.digest and memory.get(key, Base()).revision == 0
    )
    return next(places, "")


def _without_wipes(
    absent: list[Action | None], folder: Folder, allow_empty: bool
) -> Iterator[Action]:
    """Deletions, but none where a component's folder has lost everything at once."""
    lost: dict[str, list[Delete]] = {}
    for action in absent:
        if isinstance(action, Delete) and not action.moved_to:
            lost.setdefault(named(action.key)[0], []).append(action)
        elif action is not None:
            yield action
    left = {named(key)[0] for key in {*folder.documents, *folder.unsure} - folder.leaving}
    # while files are still being removed nobody knows yet whether any will be left
    for component in lost.keys() - {named(key)[0] for key in folder.leaving}:
        deletions = lost[component]
        is_there = component in folder.components
        if allow_empty or component in left or (is_there and len(deletions) == 1):
            yield from deletions
        else:
            yield Refuse(f"{PREFIX}{component}", _wiped(is_there, len(deletions)))


def _wiped(is_there: bool, count: int) -> str:
    what = "lost all its documents at once" if is_there else "is not there any more"
    return (
        f"the folder {what}: {count} of them stay in the ledger; if they shall go,"
        " run `nm-bus config publish` with --allow-empty"
    )
