"""Numbers, sizes and times as a person reads them. Pure; always short."""

from datetime import UTC, datetime

from nm_bus.messages import Micros, Seconds

_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def span(seconds: Seconds | None) -> str:
    """A duration in its largest fitting unit: `850 ms`, `4 s`, `12 min`, `3 h`, `9 d`."""
    if seconds is None:
        return "-"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    for length, unit in _SPANS:
        if abs(seconds) >= 2 * length or length == 1:
            return f"{seconds / length:.0f} {unit}"
    raise AssertionError("the last unit takes every duration")


def age(seconds: Seconds | None) -> str:
    """How long ago: whole seconds, since a heartbeat's age in milliseconds says nothing."""
    return "never" if seconds is None else span(float(round(seconds)))


def size(count: float) -> str:
    """A number of bytes, in powers of 1,000: `512 B`, `1.5 GB`."""
    value, unit = float(count), 0
    while abs(value) >= 1_000 and unit < len(_SIZES) - 1:
        value, unit = value / 1_000, unit + 1
    return (
        f"{value:.0f} {_SIZES[unit]}"
        if unit == 0 or value >= 100
        else f"{value:.1f} {_SIZES[unit]}"
    )


def number(value: float | None) -> str:
    """A number with three or four digits: `0.031`, `12.5`, `4,096`, `1.25 M`."""
    if value is None:
        return "-"
    magnitude = abs(value)
    for scale, prefix in _PREFIXES:
        if magnitude >= max(scale, 1e4):
            return f"{_short(value / scale)} {prefix}"
    return f"{value:,.0f}" if magnitude >= 1_000 else _short(value)


def quantity(value: float | None, unit: str) -> str:
    """A number with the unit worked in: bytes as sizes, the rest as numbers."""
    if value is None:
        return "-"
    if unit.lower() in ("b", "by", "byte", "bytes"):
        return size(value)
    return number(value)


def clock(at: Seconds) -> str:
    """The time of day, in UTC, since a federation has no other."""
    return _moment(at, "%H:%M:%S")


def date(at: Seconds) -> str:
    """Date and time, in UTC."""
    return _moment(at, "%Y-%m-%d %H:%M:%SZ")


def agreed(at: Micros) -> str:
    """Date and time at which something was agreed, in UTC."""
    return date(at / 1_000_000)


def _moment(at: Seconds, form: str) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return "?"


def _short(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 100 or value == int(value):
        return f"{value:.0f}"
    if magnitude >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if magnitude >= 1 else f"{value:.3g}"


def plural(count: int, noun: str) -> str:
    """`1 member`, `2 members`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
