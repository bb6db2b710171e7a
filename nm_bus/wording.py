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
    "[A-Za-z0-9][A-Za-z0-9._@-]*": "a name as in a certificate: letters, digits, . _ @ -",
    "/": "the full path of a mount point",
    "0?[0-7]{3}": "three octal digits, such as 0644",
}
"""What the patterns of the settings stand for."""

NEEDED = {
    "project": "the project's name",
    "node": "this host's full name, as in its certificate",
    "folder": "a folder for it alone",
    "supernodes": "the supernodes to ask, each a table with `node` and `broker`",
    "host": "the broker's full name, as in its certificate",
    "tls": "a table with `ca`, `certificate` and `key`",
    "ca": "the file of the project's authority",
    "certificate": "the file of this program's certificate",
    "key": "the file of the certificate's key",
    "command": "a program and its arguments, a list in brackets",
    "component": "whose documents these are",
    "broker": "a table with `host`",
    "administrators": "who may change the project, a list in brackets",
}
"""What the settings without a default are, by the last word of their names."""

KINDS = {
    "str": "a text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table",
}

_SIGNS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}

_PATTERN = re.compile(r"Expected `str` matching regex '\^(?P<pattern>.*?)(\$|\\\\Z|\\Z)?'")
_KIND = re.compile(r"Expected `(?P<kinds>[a-z |]+)`(, got `(?P<got>[a-z]+)`)?")
_LENGTH = re.compile(r"Expected `(?P<kind>[a-z]+)` of length (?P<sign><=|>=) (?P<bound>\d+)")
_BOUND = re.compile(r"Expected `(?:int|float)` (?P<sign><=|>=|<|>) (?P<bound>\S+)")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]+)`")
_ENUM = re.compile(r"Invalid enum value (?P<value>.+)")


def in_words(problem: str) -> str:
    """Turn `Expected `int`, got `str` - at `$.a.port`` into `a.port: must be a whole number`."""
    what, key, where = problem.partition(" - at `key` in `$")
    if not key:
        what, _, where = problem.partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    table = f"{where}." if where else ""
    if missing := _MISSING.fullmatch(what):
        what = NEEDED.get(missing["field"], "")
        return f"{table}{missing['field']} is missing" + (f": {what}" if what else "")
    if unknown := _UNKNOWN.fullmatch(what):
        return f"{table}{unknown['field']} is no setting"
    said = f"a name in it {_said(what)}" if key else _said(what)
    return f"{where}: {said}" if where else said


def _said(what: str) -> str:
    pattern = _PATTERN.fullmatch(what)
    if pattern and pattern["pattern"] in MEANT:
        return f"must be {MEANT[pattern['pattern']]}"
    if length := _LENGTH.fullmatch(what):
        unit = "characters" if length["kind"] == "str" else "entries"
        return f"must have {_SIGNS[length['sign']]} {length['bound']} {unit}"
    if bound := _BOUND.fullmatch(what):
        return f"must be {_SIGNS[bound['sign']]} {bound['bound']}"
    if enum := _ENUM.fullmatch(what):
        return f"cannot be {enum['value']}"
    kind = _KIND.fullmatch(what)
    if not kind:
        return what
    wanted = " or ".join(KINDS.get(each, each) for each in kind["kinds"].split(" | "))
    got = f", not {KINDS.get(kind['got'], kind['got'])}" if kind["got"] else ""
    return f"must be {wanted}{got}"
