"""What was measured at once, what could not be, and which of it fits into a message.

Pure. One series that no supernode would take is left out and named, so that it never costs the
others, whoever brought it: a setting, a plugin, a file.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 300
"""How many letters a series' name may have, as `schemas/terms` says."""

MOST = 1_000
"""How many series one message may bring, as `schemas/metrics` says."""

MOST_BYTES = 229_376
"""How long series and values may be together: a message has a limit of 256 KiB."""

VALUE_BYTES = 32
"""What a value takes at most, with what stands around it."""

_FULL = f"only {MOST_BYTES} bytes of series fit into one message"

_NAME = re.compile(
    r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*(\[[^\[\]\x00-\x1f\x7f\ud800-\udfff]+\])?"
)
_UNFIT = re.compile(r"[\[\]\x00-\x1f\x7f\ud800-\udfff]")
_LABEL = 200
"""How much of a label is kept as it is."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Series and their values; `troubles` has a reason for each source that could not be read."""

    values: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)


def fitting(values: Mapping[str, float]) -> Measurement:
    """Keep what a message may hold; every other series becomes a trouble."""
    kept: dict[str, float] = {}
    troubles: dict[str, str] = {}
    room = MOST_BYTES
    for name, value in values.items():
        size = len(name.encode(errors="replace")) + VALUE_BYTES
        reason = _why_not(name, value, len(kept)) or (_FULL if size > room else "")
        if reason:
            troubles[printable(name)] = reason
        else:
            kept[name] = value
            room -= size
    return Measurement(kept, troubles)


def label(text: str) -> str:
    """A text, such as a mount point, as it may stand in the brackets of a series' name.

    What has to be changed ends with a hash of the original, so that no two become one.
    """
    plain = _UNFIT.sub("_", text)
    if plain == text and 0 < len(text) <= _LABEL:
        return text
    mark = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{plain[:_LABEL]}-{mark}"


def printable(name: str) -> str:
    """A name as it may stand in a sentence."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:60]


def _why_not(name: str, value: float, kept: int) -> str:
    if kept >= MOST:
        return f"only {MOST} series fit into one message"
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        return "is no name of a series"
    return "" if math.isfinite(value) else "is no finite number"
