"""What a Nagios plugin says: its exit code, its first line, its performance data.

Pure text in, values out; who runs the plugin and when is not decided here. The format is that of
the Monitoring Plugins' development guidelines: `TEXT | 'label'=value[unit];warn;crit;min;max ...`,
where later lines may bring more text and, after another `|`, more performance data.
"""

import re
from dataclasses import dataclass

from nm_bus.messages import CheckStatus, Declared

OUTPUT_LENGTH = 256
"""How much of a plugin's first line is told on, in characters."""

MOST_SERIES = 64
"""How many values one check may bring; what comes after them is left out."""

LABEL_LENGTH = 64
LARGEST = 1.7e308

STATUSES = (CheckStatus.OK, CheckStatus.WARNING, CheckStatus.CRITICAL, CheckStatus.UNKNOWN)

UNITS = {
    "": ("1", "gauge", 1.0),
    "s": ("s", "gauge", 1.0),
    "ms": ("s", "gauge", 1e-3),
    "us": ("s", "gauge", 1e-6),
    "%": ("%", "gauge", 1.0),
    "c": ("1", "counter", 1.0),
    "b": ("B", "gauge", 1.0),
    "kb": ("B", "gauge", 1024.0),
    "mb": ("B", "gauge", 1024.0**2),
    "gb": ("B", "gauge", 1024.0**3),
    "tb": ("B", "gauge", 1024.0**4),
}
"""A plugin's unit -> the unit, the kind and the factor to it. Plugins mean powers of 1024."""

_PAIR = re.compile(
    r"""(?<!\S)(?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>[^\s='|]+))
        =(?P<value>[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)(?P<unit>[A-Za-z%]*)
        (?:;\S*)?(?=\s|$)""",
    re.VERBOSE,
)
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Value:
    """One measured value of a plugin, in the base unit (seconds, bytes, %)."""

    label: str
    value: float
    unit: str
    kind: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run of a plugin came to."""

    status: CheckStatus
    output: str
    values: tuple[Value, ...] = ()


def verdict(exit_code: int, text: str) -> Verdict:
    """Judge a plugin that ended by itself. Any exit code but 0 to 3 is `unknown`, and said so."""
    line, values = read(text)
    if 0 <= exit_code < len(STATUSES):
        return Verdict(STATUSES[exit_code], line, values)
    how = f"exit code {exit_code}" if exit_code > 0 else f"ended by signal {-exit_code}"
    return Verdict(CheckStatus.UNKNOWN, shortened(f"{how}, not one of 0 to 3: {line}"), values)


def failed(reason: str) -> Verdict:
    """The verdict on a plugin that could not be run to its end."""
    return Verdict(CheckStatus.UNKNOWN, shortened(reason))


def read(text: str) -> tuple[str, tuple[Value, ...]]:
    """Split a plugin's output into its first line of text and its performance data."""
    first, _, rest = text.partition("\n")
    line, _, data = first.partition("|")
    _, _, more = rest.partition("|")
    return shortened(line), performance(f"{data} {more}")


def performance(data: str) -> tuple[Value, ...]:
    """Read performance data. What does not follow the format (such as the value `U`) is skipped."""
    values: dict[str, Value] = {}
    for pair in _PAIR.finditer(data):
        value = _value(pair)
        if value is not None and len(values) < MOST_SERIES:
            values.setdefault(value.label, value)
    return tuple(values.values())


def series(check: str, values: tuple[Value, ...]) -> tuple[dict[str, float], tuple[Declared, ...]]:
    """Name a check's values as metrics, `check.<check>.<label>`, each declared with its unit."""
    named = {f"check.{_fit(check)}.{value.label}": value for value in values}
    declared = tuple(Declared(name, value.unit, value.kind) for name, value in named.items())
    return {name: value.value for name, value in named.items()}, declared


def shortened(line: str) -> str:
    """One line without control characters, at most 256 characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in line).strip()
    return plain if len(plain) <= OUTPUT_LENGTH else plain[: OUTPUT_LENGTH - 3] + "..."


def _value(pair: re.Match[str]) -> Value | None:
    known = UNITS.get(pair["unit"].lower())
    label = _fit((pair["quoted"] or pair["plain"]).replace("''", "'"))
    if known is None or not label:
        return None
    unit, kind, factor = known
    value = float(pair["value"].replace(",", ".")) * factor
    return Value(label, value, unit, kind) if abs(value) <= LARGEST else None


def _fit(label: str) -> str:
    """A label as a part of a metric's name: a mount point's `/` alone becomes `root`."""
    if label == "/":
        return "root"
    return _UNFIT.sub("_", label).strip("_")[:LABEL_LENGTH]
