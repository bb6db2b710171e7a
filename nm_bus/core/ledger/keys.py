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
_WORD = re.compile(WORD)


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


def feed_of_component(component: str) -> str:
    """The feed of a component's documents."""
    return f"config/{component}"


FAMILY_FEEDS = tuple(sorted(FORMS.keys() - {"config", "session"}))
"""The feeds that are families of keys."""


MOST_FOLLOWED = 64
"""So many feeds a principal may live by at once."""


def is_feed(name: str) -> bool:
    """Whether there may be a feed of this name."""
    head, _, component = name.partition("/")
    return name in FAMILY_FEEDS or (head == "config" and _WORD.fullmatch(component) is not None)


def why_no_feed(name: str) -> str:
    """What is wrong with the name of a feed, in one sentence; empty when nothing is."""
    if is_feed(name):
        return ""
    known = ", ".join(("config/<component>", *FAMILY_FEEDS))
    return f"{name[:200]!r} is no feed of the ledger: {known}"


def prefixes_of(feed: str) -> tuple[str, ...]:
    """How the keys of a feed begin, in their order; of the whole, the empty name, nothing."""
    if not feed:
        return ("",)
    return (f"{feed}/", "session/") if feed == LOCKS else (f"{feed}/",)


def is_key(key: str) -> bool:
    """Whether a key has the form of its family."""
    form = _FORMS.get(family(key))
    return form is not None and len(key) <= LONGEST and form.fullmatch(name(key)) is not None
