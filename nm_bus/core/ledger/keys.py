"""The names of what the ledger holds: one form for each family of keys.

A key travels as a routing key as well, of which the broker takes 255 bytes: hence its length.
"""

import re

LONGEST = 230

MEMBERS, SUPERNODES = "member/", "supernode/"
"""What the keys of these two begin with: homes follow from them."""

WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
NODE = r"[a-z0-9](?:[a-z0-9.-]{0,198}[a-z0-9])?"
PRINCIPAL = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,199}"

FORMS = {
    "config": (rf"{WORD}(?:/{WORD})+", "config/<component>/<name>"),
    "member": (NODE, "member/<node>"),
    "supernode": (NODE, "supernode/<node>"),
    "role": (PRINCIPAL, "role/<principal>"),
    "record": (rf"{WORD}/[A-Za-z0-9][A-Za-z0-9._-]{{0,199}}", "record/<kind>/<name>"),
    "session": (rf"{PRINCIPAL}/{WORD}", "session/<principal>/<name>"),
    "lock": (WORD, "lock/<name>"),
    "policy": (WORD, "policy/<name>"),
    "rules": ("version", "rules/version"),
    "silence": (WORD, "silence/<id>"),
}
"""Of each family what follows its name, and how it is said."""

_FORMS = {family: re.compile(rest) for family, (rest, _) in FORMS.items()}


def family(key: str) -> str:
    """The first word of a key."""
    return key.partition("/")[0]


def name(key: str) -> str:
    """What follows the family: of a member or supernode, its node."""
    return key.partition("/")[2]


LOCKS = "lock"
"""The feed of locks and of sessions, which hold and free them."""


def feed_of(key: str) -> str:
    """The feed that the changes of a key go to: a component's documents, else a family of keys."""
    head = family(key)
    if head == "config":
        return f"{head}/{name(key).partition('/')[0]}"
    return LOCKS if head == "session" else head


def is_key(key: str) -> bool:
    """Whether a key has the form of its family."""
    form = _FORMS.get(family(key))
    return form is not None and len(key) <= LONGEST and form.fullmatch(name(key)) is not None
