"""How documents are called: `config/<component>/<name>`, a name of one or more words joined by `/`.

A name becomes a path below a folder at every member, so nothing that leads out of it is one.
"""

import re

PREFIX = "config/"

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

MOST_CHARACTERS = 512
"""How long a name may be, its words and what joins them."""

RULE = (
    "a name is made of letters, digits and . _ -, begins with a letter or a digit, and has at most"
    " 128 characters (a document's name may have several such words joined by /)"
)


def key_of(component: str, name: str) -> str:
    """The ledger's key of a document."""
    return f"{PREFIX}{component}/{name}"


def named(key: str) -> tuple[str, str]:
    """The component and the name of a document's key; empty texts for another key."""
    if not key.startswith(PREFIX):
        return "", ""
    component, _, name = key.removeprefix(PREFIX).partition("/")
    return component, name


def why_no_name(component: str, name: str) -> str:
    """What is wrong with a document's names, in words; empty when nothing is."""
    if not _WORD.fullmatch(component):
        return f"{component!r} is no component's name: {RULE}"
    if len(name) > MOST_CHARACTERS:
        return f"the document's name has {len(name)} characters, {MOST_CHARACTERS} are allowed"
    if not all(_WORD.fullmatch(word) for word in name.split("/")):
        return f"{name!r} is no document's name: {RULE}"
    return ""
