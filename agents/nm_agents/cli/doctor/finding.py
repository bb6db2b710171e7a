"""A finding: what was looked at, how it is, and what to do about it."""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from nm_bus.errors import NmBusError
from nm_bus.messages import Nested


class Level(StrEnum):
    """How a finding is, the best first."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


LEVELS = tuple(Level)


class Finding(Nested, frozen=True):
    """One thing that was looked at. `fix` says what to do unless it is fine."""

    level: Level
    about: str
    text: str
    fix: str = ""
    federation: bool = False
    """Whether it is about the federation as a supernode sees it, not about this host."""


def ok(about: str, text: str) -> Finding:
    """It is fine."""
    return Finding(Level.OK, about, text)


def warn(about: str, text: str, fix: str) -> Finding:
    """It works still, or not as well as it could."""
    return Finding(Level.WARN, about, text, fix)


def fail(about: str, text: str | NmBusError, fix: str) -> Finding:
    """It does not work."""
    return Finding(Level.FAIL, about, str(text), fix)


def of_the_federation(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same findings, set apart from those about this host."""
    return (msgspec.structs.replace(finding, federation=True) for finding in findings)


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level of all; nothing found is fine."""
    return max((f.level for f in findings), key=LEVELS.index, default=Level.OK)


def share_of(about: str, text: str, share: float, fix: str) -> Finding:
    """How full something is: above four fifths a warning, full a failure."""
    if share >= 1:
        return fail(about, text, fix)
    return warn(about, text, fix) if share >= 0.8 else ok(about, text)
