"""What msgspec says is wrong with settings, in the words of somebody who writes them.

It decides nothing: a sentence that is not known here is passed on as it is.
"""

import re

MEANT = {
    "[a-z0-9]([a-z0-9.-]*[a-z0-9])?": (
        "a full host name in lower case: letters, digits, dots, hyphens"
    ),
    "[a-z0-9][a-z0-9-]*": "lower-case letters, digits and hyphens",
    "[A-Za-z0-9][A-Za-z0-9._-]*": "letters, digits, dots, underscores and hyphens",
    "[A-Za-z0-9][A-Za-z0-9_.-]*": "letters, digits, dots, underscores and hyphens",
    "[A-Za-z0-9][A-Za-z0-9._@-]*": "a name as in a certificate: letters, digits, . _ @ -",
    "0?[0-7]{3}": "three octal digits, such as 0644",
}
"""What the patterns of the settings stand for."""

KINDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table",
}

_PATTERN = re.compile(r"Expected `str` matching regex '\^(?P<pattern>.*?)(\$|\\\\Z|\\Z)'")
_KIND = re.compile(r"Expected `(?P<kinds>[a-z |]+)`(, got `(?P<got>[a-z]+)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")


def in_words(problem: str) -> str:
    """Turn `Expected `int`, got `str` - at `$.a.port`` into `a.port: must be a whole number`."""
    what, _, where = problem.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    missing = _MISSING.fullmatch(what)
    if missing:
        return f"{where + '.' if where else ''}{missing['field']} is missing"
    said = _said(what)
    return f"{where}: {said}" if where else said


def _said(what: str) -> str:
    pattern = _PATTERN.fullmatch(what)
    if pattern and pattern["pattern"] in MEANT:
        return f"must be {MEANT[pattern['pattern']]}"
    kind = _KIND.fullmatch(what)
    if not kind:
        return what
    wanted = " or ".join(KINDS.get(each, each) for each in kind["kinds"].split(" | "))
    got = f", not {KINDS.get(kind['got'], kind['got'])}" if kind["got"] else ""
    return f"must be {wanted}{got}"
