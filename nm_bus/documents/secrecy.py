"""What looks like a secret. The ledger is readable by every member, so no secret belongs in it.

Two kinds are found: what is unmistakable wherever it stands (private keys, tokens with a known
beginning), and values under tell-tale names that look like the real thing. A name counts by its
last word, so that `password_file` and `token_url` are none. Values are never repeated.

Kept by hand: detect-secrets looks at files of a source tree with a baseline beside them, and takes
each long random word for a secret, which catalogues of checksums are full of.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretSuspicion:
    """Something that looks like a secret: in which line (from 1), and what it looks like."""

    line: int
    what: str


ENCRYPTED = (
    b"age-encryption.org/v1",
    b"-----BEGIN AGE ENCRYPTED FILE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"$ANSIBLE_VAULT;",
)
"""How files begin that only the holder of a key can read."""

UNMISTAKABLE = {
    "a private key": r"-----BEGIN (?!ENCRYPTED )(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"|^PuTTY-User-Key-File-\d",
    "an age key": r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}",
    "an AWS access key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "a Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10}",
    "a Google API key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "a Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{16}",
    "an npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a PyPI token": r"\bpypi-AgEIcHlwaS5vcmc",
    "a signed token (JWT)": r"\beyJ[\w-]{10,2048}\.eyJ[\w-]{10,2048}\.[\w-]{10}",
}
_UNMISTAKABLE = [(what, re.compile(pattern)) for what, pattern in UNMISTAKABLE.items()]

_URL_PASSWORD = re.compile(
    r"\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:@\"'<>]{0,256}:([^\s/@\"'<>]{1,256})@"
)

# only where a word begins, and of limited length: a long line must not cost its length squared
_NAME = r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,127})"
_VALUE = r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'<>,;#][^\s"'<>,;]*))"""
_ASSIGNED = re.compile(rf"""{_NAME}["']?\s*(?:=>|:=|=|:)\s*{_VALUE}""")
_ELEMENT = re.compile(rf"<(?:[\w.-]+:)?{_NAME}(?:\s[^<>]*)?>(?P<bare>[^<>]+)</")

_WORDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
PASSWORDS = frozenset({"password", "passwd", "passphrase", "passwort", "pwd"})
"""The last word of a name whose value is a secret however plain it looks."""
KEYS = frozenset(
    {
        "secret",
        "token",
        "apikey",
        "api key",
        "access key",
        "secret key",
        "private key",
        "credential",
    }
)
"""The last words of a name whose value is a secret when it looks as if chance had made it."""

_STAND_IN = re.compile(
    r"""[<$%@{!*].* | ENC\[.* | (?:file|env|vault|https?|ldaps?)[:/].* | [./~][\w./~-]*/.*
    | (.)\1* | (?:change|replace|insert|your|example|dummy|sample|todo|placeholder).*
    | (?:null|none|nil|true|false|yes|no|on|off|required|optional|prompt|ask|unset|redacted
       |disabled|enabled|hidden|str|string|text|password|secret|token)""",
    re.VERBOSE | re.IGNORECASE,
)
"""Values that stand for a secret, or tell where it is, rather than being one."""

FEWEST = 4
FEWEST_OF_CHANCE = 12
BITS = 3.0
"""Information in a character: words of a language have less when they are long, chance has more."""


def is_encrypted(content: bytes) -> bool:
    """Whether a document is one that only the holder of a key can read."""
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(ENCRYPTED)


def findings(content: bytes) -> list[SecretSuspicion]:
    """What in a document looks like a secret, in the order of its lines; none when encrypted."""
    if is_encrypted(content):
        return []
    lines = content.decode("utf-8", "replace").splitlines()
    return [SecretSuspicion(n, what) for n, line in enumerate(lines, 1) for what in _in_line(line)]


def _in_line(line: str) -> Iterator[str]:
    yield from (what for what, pattern in _UNMISTAKABLE if pattern.search(line))
    if any(not _stands_in(match[1]) for match in _URL_PASSWORD.finditer(line)):
        yield "a password in an address"
    for pattern in (_ASSIGNED, _ELEMENT):
        for match in pattern.finditer(line):
            values = match.groupdict()
            value = values.get("double") or values.get("single") or values["bare"] or ""
            what = _under(match["name"], value.strip())
            if what:
                yield f"{what} ({match['name']})"


def _under(name: str, value: str) -> str:
    """What a value under a name looks like; empty for nothing of the kind."""
    words = _WORDS.sub(" ", name).lower().rstrip("0123456789 ").split()
    last, last_two = " ".join(words[-1:]), " ".join(words[-2:])
    if _stands_in(value):
        return ""
    if last in PASSWORDS:
        return "a password"
    return "a secret" if {last, last_two} & KEYS and _made_by_chance(value) else ""


def _stands_in(value: str) -> bool:
    return len(value) < FEWEST or " " in value or _STAND_IN.fullmatch(value) is not None


def _made_by_chance(value: str) -> bool:
    has_both = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return has_both and len(value) >= FEWEST_OF_CHANCE and _bits(value) >= BITS


def _bits(value: str) -> float:
    """Shannon's information in a character."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
