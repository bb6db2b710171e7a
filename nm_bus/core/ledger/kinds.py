"""The kinds of changes, a row each: what one does, who may ask for it, what is checked before.

A row is found by the kind and the family of the key, whose form is in `keys.FORMS`. A kind that has
no row is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from nm_bus.core.ledger.keys import family
from nm_bus.core.ledger.roles import Relation
from nm_bus.core.ledger.rules import (
    documents,
    locks,
    members,
    policies,
    records,
    sessions,
    supernodes,
    version,
)
from nm_bus.core.ledger.rules.outcome import Rule
from nm_bus.core.ledger.state import State
from nm_bus.messages import Change

ADMINISTRATOR, PUBLISHER, SUPERNODE, OWNER, ANYONE = Relation


class Form(StrEnum):
    """What a value is held against before its change is proposed."""

    DOCUMENT = "document"
    """Its media type, and the schema that it names."""
    RECORD = "record"
    """The schema of its kind of record."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of change: the rule that applies it, and whom it is open to."""

    rule: Rule
    may: tuple[Relation, ...]
    form: Form | None = None


Kinds = Mapping[tuple[str, str], Kind]

KINDS: Kinds = {
    ("set", "config"): Kind(documents.put, (ADMINISTRATOR, PUBLISHER), Form.DOCUMENT),
    ("delete", "config"): Kind(documents.delete, (ADMINISTRATOR, PUBLISHER)),
    ("set", "record"): Kind(records.put, (ADMINISTRATOR, PUBLISHER, OWNER), Form.RECORD),
    ("delete", "record"): Kind(records.delete, (ADMINISTRATOR, PUBLISHER, OWNER)),
    ("set", "role"): Kind(policies.put_role, (ADMINISTRATOR,)),
    ("delete", "role"): Kind(policies.delete_role, (ADMINISTRATOR,)),
    ("set", "policy"): Kind(policies.put, (ADMINISTRATOR,)),
    ("delete", "policy"): Kind(policies.delete, (ADMINISTRATOR,)),
    ("set", "silence"): Kind(policies.put, (ADMINISTRATOR,)),
    ("delete", "silence"): Kind(policies.delete, (ADMINISTRATOR,)),
    ("join", "member"): Kind(members.join, (ADMINISTRATOR, SUPERNODE)),
    ("leave", "member"): Kind(members.leave, (ADMINISTRATOR, SUPERNODE, OWNER)),
    ("maintain", "member"): Kind(members.maintain, (ADMINISTRATOR, OWNER)),
    ("resume", "member"): Kind(members.resume, (ADMINISTRATOR, OWNER)),
    ("remove", "member"): Kind(members.remove, (ADMINISTRATOR,)),
    ("admit", "supernode"): Kind(supernodes.admit, (ADMINISTRATOR,)),
    ("dismiss", "supernode"): Kind(supernodes.dismiss, (ADMINISTRATOR,)),
    ("begin", "rules"): Kind(version.begin, (SUPERNODE,)),
    ("open", "session"): Kind(sessions.open_, (OWNER,)),
    ("close", "session"): Kind(sessions.close, (ADMINISTRATOR, OWNER)),
    ("expire", "session"): Kind(sessions.expire, (SUPERNODE,)),
    ("lock", "lock"): Kind(locks.lock, (ANYONE,)),
    ("unlock", "lock"): Kind(locks.unlock, (ANYONE,)),
}


Rulebook = Mapping[int, Kinds]

RULEBOOK: Rulebook = {1: KINDS}
"""The kinds by version of the rules. A change of a rule that changes what comes of an old change is
a new version, with a table of its own; the old one stays for as long as somebody may be behind."""


def kind_of(change: Change, kinds: Kinds = KINDS) -> Kind | None:
    """The row of a change; None when there is no such kind."""
    return kinds.get((change.kind, family(change.key)))


def unknown_rules(state: State, book: Rulebook) -> str:
    """Why a program with these rules cannot apply what comes next, if so."""
    number = version.in_force(state)
    if number in book:
        return ""
    entry = state.get(version.KEY)
    began = entry.revision if entry else 0
    return (
        f"version {number} of the rules began at revision {began}, and this program knows up to"
        f" {max(book)}: upgrade nm-bus on this supernode and start it again"
    )
