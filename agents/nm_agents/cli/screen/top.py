"""How one node looks: who it is, its checks, and each metric with its last hour."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from nm_agents.cli.screen import figures
from nm_agents.cli.screen.listing import SENTENCE, Field, listing
from nm_agents.cli.screen.printable import cell
from nm_agents.cli.screen.status import CHECK_STYLE, HEALTH_STYLE
from nm_bus.messages import (
    Check,
    MemberState,
    MemberView,
    NodeDetail,
    Properties,
    Rollup,
    Seconds,
    Series,
    Window,
)

COUNTER = "counter"
MINUTE = 60.0
GRAPH = 15
"""Bars at most: an hour in windows of five minutes, or fifteen single minutes."""


def top_page(detail: NodeDetail, width: int, named: str = "") -> RenderableType:
    """The screen of one node: all its metrics, or those whose name contains `named`."""
    state = detail.member.state
    return Group(
        *_who(detail.member),
        *_properties(state.properties),
        *_checks(state.checks, width),
        Text(""),
        Text("METRICS", style="bold"),
        _metrics(detail, width, named),
    )


def _who(member: MemberView) -> list[RenderableType]:
    state = member.state
    symbol, style = HEALTH_STYLE[state.health]
    heard = figures.age(state.heard)
    lines = [
        Text.assemble(
            (f"{symbol} ", style), (cell(state.node).plain, "bold"), "  ", (state.health, style)
        ),
        cell(f"heard {heard} ago by {member.home}" if state.heard is not None else "never heard"),
        cell(_agent(state), "dim"),
    ]
    if state.reason:
        lines.insert(1, cell(state.reason, style))
    return [line for line in lines if line.plain]


def _agent(state: MemberState) -> str:
    parts = [
        f"agent {state.agent}" if state.agent else "",
        f"up {figures.span(state.uptime)}" if state.uptime else "",
        f"clock off by {figures.span(state.skew)}" if abs(state.skew) >= 1 else "",
        f"{state.missed:,} heartbeats missed" if state.missed else "",
        f"{state.spooled:,} messages waiting there" if state.spooled else "",
    ]
    return ", ".join(part for part in parts if part)


def _properties(properties: Properties | None) -> list[RenderableType]:
    if properties is None:
        return []
    place = ", ".join(part for part in (properties.city, properties.country) if part)
    facts = [
        (properties.organisation, place),
        (properties.description, ""),
        ("software", ", ".join(f"{k} {v}" for k, v in sorted(properties.software.items()))),
        *((f"{e.name} {e.kind}".strip(), e.url) for e in properties.endpoints),
    ]
    lines = [cell("  ".join(part for part in fact if part)) for fact in facts if fact[0]]
    lines = [line for line in lines if line.plain != "software"]
    return [Text(""), *lines] if lines else []


CHECK = (Field("status"), Field("check"), Field("output", least=SENTENCE))


def _checks(checks: Sequence[Check], width: int) -> list[RenderableType]:
    if not checks:
        return []
    rows = [
        (cell(check.status, CHECK_STYLE[check.status]), cell(check.name), cell(check.output))
        for check in checks
    ]
    return [Text(""), Text("CHECKS", style="bold"), listing(CHECK, rows, width)]


def _metrics(detail: NodeDetail, width: int, named: str) -> RenderableType:
    if not detail.series:
        return Text("none yet: the first minute is not over", style="dim")
    fields = [Field("metric"), *(column.field for column in COLUMNS)]
    rows = [
        [cell(name), *(_value(column, series) for column in COLUMNS)]
        for name, series in sorted(detail.series.items())
        if named in name
    ]
    above = "min, mean, max of the newest 5 minutes"
    if detail.left_out:
        above += f"; {detail.left_out} more series are too many for one answer"
    return Group(Text(above, style="dim"), listing(fields, rows, width))


def _value(column: "MetricColumn", series: Series) -> Text:
    return cell(column.value(series), "cyan" if column.graph else "")


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """A column of the metrics table; of a high `rank`, it is the first to go where it is narrow."""

    name: str
    value: Callable[[Series], str]
    rank: int = 0
    graph: bool = False

    @property
    def field(self) -> Field:
        """How it is laid out."""
        return Field(self.name, self.rank, right=not self.graph)


def newest(series: Series) -> Rollup | None:
    """The newest five minutes; a series just begun has only its minute."""
    windows = series.five or series.minute
    return windows[-1].rollup if windows else None


def _figure(pick: Callable[[Rollup], float | None]) -> Callable[[Series], str]:
    """A figure of a gauge: of a counter, only its last value and its rate mean something."""

    def value(series: Series) -> str:
        rollup = None if series.kind == COUNTER else newest(series)
        return figures.quantity(pick(rollup) if rollup else None, series.unit)

    return value


def _unit(series: Series) -> str:
    """The unit of a plain number is "1", which needs no word."""
    return "" if series.unit == "1" else series.unit


def _last(series: Series) -> str:
    rollup = newest(series)
    return figures.quantity(rollup.last if rollup else None, series.unit)


def _rate(series: Series) -> str:
    rollup = newest(series)
    return figures.quantity(rollup.rate if rollup else None, series.unit)


def _quantile(name: str) -> Callable[[Series], str]:
    return lambda series: figures.quantity(series.quantiles.get(name), series.unit)


def history(windows: Sequence[Window], length: Seconds, kind: str) -> list[float | None]:
    """One value a window, a counter's being its rate; None where a window is missing."""
    values: list[float | None] = []
    before: Seconds | None = None
    for window in windows:
        if before is not None:
            missing = round((window.start - before) / length) - 1
            values += [None] * min(max(missing, 0), GRAPH)
        values.append(_height(window.rollup, kind))
        before = window.start
    return values


def _height(rollup: Rollup, kind: str) -> float | None:
    return rollup.rate if kind == COUNTER else mean(rollup)


def mean(rollup: Rollup) -> float | None:
    """The mean of a window; None of an empty one."""
    return rollup.total / rollup.count if rollup.count else None


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


def _hour(series: Series) -> str:
    return sparkline(history(series.five, 5 * MINUTE, series.kind), GRAPH)


def _quarter(series: Series) -> str:
    return sparkline(history(series.minute, MINUTE, series.kind), GRAPH)


COLUMNS = (
    MetricColumn("last", _last),
    MetricColumn("unit", _unit, rank=8),
    MetricColumn("rate/s", _rate, rank=2),
    MetricColumn("last hour", _hour, rank=1, graph=True),
    MetricColumn("mean", _figure(mean), rank=3),
    MetricColumn("max", _figure(lambda rollup: rollup.high), rank=4),
    MetricColumn("min", _figure(lambda rollup: rollup.low), rank=5),
    MetricColumn("p99", _quantile("p99"), rank=6),
    MetricColumn("p50", _quantile("p50"), rank=7),
    MetricColumn("last 15 min", _quarter, rank=9, graph=True),
)
