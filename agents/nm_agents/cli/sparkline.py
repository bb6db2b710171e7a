"""Small history graphs made of eight characters. Pure."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
GAP = " "


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The last `width` values as bars between their lowest and highest; None is a gap.

    Values that hardly change are drawn as a low line, so that noise does not look like news.
    """
    shown = list(values[-width:])
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    reach = max(high - low, 0.02 * max(abs(high), abs(low)), 1e-12)
    return "".join(GAP if v is None else BARS[_bar((v - low) / reach)] for v in shown)


def _bar(share: float) -> int:
    return min(len(BARS) - 1, int(share * len(BARS)))
