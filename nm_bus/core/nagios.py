"""What a Nagios plugin says: its exit code, its first line, its performance data.

Pure text in, values out; who runs the plugin and when is not decided here. The format is that of
the Monitoring Plugins' development guidelines: `TEXT | 'label'=value[unit];warn;crit;min;max ...`,
where later lines may bring more text and, after another `|`, more performance data.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from nm_bus.messages import CheckStatus, Declared

OUTPUT_LENGTH = 256
"""How much of a plugin's first line is told on, in characters."""

MOST_SERIES = 64
"""How many values one check may bring; what comes after them is left out."""

MOST_LEFT_OUT = 10
"""How many of what was left out are named."""

LABEL_LENGTH = 64
_CUT = 55
LARGEST = 1.7e308

STATUSES = (CheckStatus.OK, CheckStatus.WARNING, CheckStatus.CRITICAL, CheckStatus.UNKNOWN)

_KIB = 1024.0
_BYTES = {"": 1.0, "K": _KIB, "M": _KIB**2, "G": _KIB**3, "T": _KIB**4, "P": _KIB**5}

UNITS = {
    "": ("1", "gauge", 1.0),
    "c": ("1", "counter", 1.0),
    "%": ("%", "gauge", 1.0),
    "C": ("Cel", "gauge", 1.0),
    "\u00b0C": ("Cel", "gauge", 1.0),
    "F": ("[degF]", "gauge", 1.0),
    "\u00b0F": ("[degF]", "gauge", 1.0),
    "s": ("s", "gauge", 1.0),
    "sec": ("s", "gauge", 1.0),
    "ms": ("s", "gauge", 1e-3),
    "msec": ("s", "gauge", 1e-3),
    "us": ("s", "gauge", 1e-6),
    "usec": ("s", "gauge", 1e-6),
    "\u00b5s": ("s", "gauge", 1e-6),  # the micro sign, and the Greek letter
    "\u03bcs": ("s", "gauge", 1e-6),
    "ns": ("s", "gauge", 1e-9),
    "min": ("s", "gauge", 60.0),
    **{f"{p}B": ("B", "gauge", factor) for p, factor in _BYTES.items()},
    **{f"{p}iB": ("B", "gauge", factor) for p, factor in _BYTES.items() if p},
    **{f"{p}B/s": ("B/s", "gauge", factor) for p, factor in _BYTES.items()},
    "kB": ("B", "gauge", _KIB),
    "kB/s": ("B/s", "gauge", _KIB),
}
"""A plugin's unit -> the unit, the kind and the factor to it. Plugins mean powers of 1024.

Case matters: `c` is a counter and `C` a temperature, `MB` are bytes and `Mb` bits. A unit that is
not here, such as `V`, stays as it is, for a gauge.
"""

_PAIR = re.compile(
    r"""(?<!\S)(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^\s='|]+))
        =(?P<value>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)(?P<unit>[^\s;\d.,'=|]*)
        (?:;\S*)?(?=\s|$)""",
    re.VERBOSE,
)
_NO_VALUE = re.compile(r"=U?(;\S*)?$")
"""The format's own ways to say that there is no value."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")
_WORDS = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_UNIT = re.compile(r"[!-~]{1,32}")
_CRASH = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Value:
    """One measured value of a plugin, in the base unit (seconds, bytes, %)."""

    label: str
    value: float
    unit: str
    kind: str


@dataclass(frozen=True, slots=True)
class PluginVerdict:
    """What one run of a plugin came to."""

    status: CheckStatus
    output: str
    values: tuple[Value, ...] = ()
    left_out: tuple[str, ...] = ()
    """What stood among the performance data and cannot be a value."""


def verdict(exit_code: int, text: str, errors: str = "") -> PluginVerdict:
    """Judge a plugin that ended by itself. Any exit code but 0 to 3 is `unknown`, and said so.

    `errors` is what it printed to standard error: the reason, where its text gives none. An
    interpreter ends with 1 when the plugin crashed, which is no warning.
    """
    line, values, left_out = read(text)
    said = line or reason(errors)
    crashed = exit_code == 1 and not line and _CRASH in errors
    if 0 <= exit_code < len(STATUSES) and not crashed:
        return PluginVerdict(STATUSES[exit_code], said, values, left_out)
    how = f"exit code {exit_code}" if exit_code > 0 else f"ended by signal {-exit_code}"
    why = "the plugin crashed" if crashed else f"{how}, not one of 0 to 3"
    return PluginVerdict(CheckStatus.UNKNOWN, shortened(f"{why}: {said}"), values, left_out)


def failed(why: str) -> PluginVerdict:
    """The verdict on a plugin that could not be run to its end."""
    return PluginVerdict(CheckStatus.UNKNOWN, shortened(why))


def reason(errors: str) -> str:
    """What a program wrote to standard error, as one line: the first that says something, since
    hints follow it; of a traceback the last."""
    lines = [line for line in map(shortened, errors.splitlines()) if line]
    return "" if not lines else lines[-1 if _CRASH in errors else 0]


def read(text: str) -> tuple[str, tuple[Value, ...], tuple[str, ...]]:
    """Split a plugin's output into its first line of text, its performance data, and what of that
    cannot be a value."""
    first, _, rest = text.lstrip().partition("\n")
    line, _, data = first.partition("|")
    _, _, more = rest.partition("|")
    return shortened(line), *performance(f"{data} {more}")


def performance(data: str) -> tuple[tuple[Value, ...], tuple[str, ...]]:
    """Read performance data: its values, and the labels or words that cannot be one.

    The value `U`, which says that there is none, is neither.
    """
    pairs: dict[str, re.Match[str]] = {}
    left_out = [word for word in _PAIR.sub(" ", data).split() if not _NO_VALUE.search(word)]
    for pair in _PAIR.finditer(data):
        if pairs.setdefault(_label(pair), pair) is not pair:
            left_out.append(_label(pair))
    values: list[Value] = []
    for label, fit in fitted(pairs).items():
        value = _value(pairs[label], fit)
        if value is None or len(values) >= MOST_SERIES:
            left_out.append(label)
        else:
            values.append(value)
    return tuple(values), _told(left_out)


def _told(left_out: list[str]) -> tuple[str, ...]:
    """What was left out, as it is reported: the first of them, and how many others."""
    words = [shortened(word)[:LABEL_LENGTH] or "?" for word in left_out[:MOST_LEFT_OUT]]
    more = len(left_out) - len(words)
    return (*words, f"{more} others") if more else tuple(words)


def fitted(labels: Iterable[str]) -> dict[str, str]:
    """Each label as a part of a metric's name: a mount point's `/` alone becomes `root`.

    Two labels never become one: what would is told apart by a hash of what it was.
    """
    plain = {label: _fit(label) for label in labels}
    often = Counter(plain.values())
    return {
        label: fit if fit and (often[fit] == 1 or fit == label) else f"{fit}{_mark(label)}"
        for label, fit in plain.items()
    }


def series(check: str, values: tuple[Value, ...]) -> tuple[dict[str, float], tuple[Declared, ...]]:
    """Name a check's values as metrics, `check.<check>.<label>`, each declared with its unit.

    A label has no dot, so two checks' metrics are never one.
    """
    word = check if _WORDS.fullmatch(check) else f"{_fit(check)}{_mark(check)}"
    named = {f"check.{word}.{value.label}": value for value in values}
    declared = tuple(Declared(name, value.unit, value.kind) for name, value in named.items())
    return {name: value.value for name, value in named.items()}, declared


def shortened(line: str) -> str:
    """One line without control characters, at most 256 characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in line).strip()
    return plain if len(plain) <= OUTPUT_LENGTH else plain[: OUTPUT_LENGTH - 3] + "..."


def _label(pair: re.Match[str]) -> str:
    return (pair["quoted"] or pair["plain"]).replace("''", "'")


def _value(pair: re.Match[str], label: str) -> Value | None:
    given = pair["unit"]
    bare = given if _UNIT.fullmatch(given) else "1"
    unit, kind, factor = UNITS.get(given, (bare, "gauge", 1.0))
    value = float(pair["value"].replace(",", ".")) * factor
    return Value(label, value, unit, kind) if abs(value) <= LARGEST else None


def _fit(label: str) -> str:
    if label == "/":
        return "root"
    fit = _UNFIT.sub("_", label).strip("_")
    return fit if len(fit) <= LABEL_LENGTH else f"{fit[:_CUT]}{_mark(label)}"


def _mark(label: str) -> str:
    return "-" + hashlib.sha256(label.encode(errors="replace")).hexdigest()[:8]
