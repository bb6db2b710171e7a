"""What the bench found, as tables for a person and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from nm_agents.cli.screen.figures import size, span
from nm_agents.cli.screen.table import table
from nm_bus.messages import Seconds
from nm_lab.bench.agreeing import AgreementFigures, DelaySeries, percentile
from nm_lab.bench.aims import Measured
from nm_lab.bench.fanout import FannedOut
from nm_lab.bench.hold import HoldFigures
from nm_lab.bench.ingest import NAMES, StreamFigures
from nm_lab.bench.joining import JoinFigures, JoinWave


def stream_table(stream: StreamFigures) -> Table:
    """Each reader's rate, in messages per second of processor time."""
    made = table(f"{stream.name} ({stream.bytes} bytes)", _right("messages per CPU-second"))
    for reader, name in NAMES.items():
        made.add_row(name, f"{stream.rate(reader):,.0f}")
    return made


def measured_table(figures: Sequence[Measured]) -> Table:
    """Each figure beside its aim."""
    made = table("figure", _right("measured"), _right("aim"), "verdict")
    for figure in figures:
        bound = "at most" if figure.most else "at least"
        made.add_row(
            figure.name,
            _number(figure.value, figure.unit),
            f"{bound} {_number(figure.aim, figure.unit)}",
            Text(figure.mark, style="green" if figure.reached else "red"),
        )
    return made


def measured_json(figures: Sequence[Measured]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "figure": figure.name,
            "measured": round(figure.value, 4),
            "aim": figure.aim,
            "at_most": figure.most,
            "unit": figure.unit,
            "reached": figure.reached,
        }
        for figure in figures
    ]


def stream_json(stream: StreamFigures) -> dict[str, Any]:
    """A stream's rates, round by round, and its ratios."""
    return {
        "stream": stream.name,
        "bytes": stream.bytes,
        "messages_per_cpu_second": {
            NAMES[reader]: [round(rate) for rate in rates] for reader, rates in stream.rates.items()
        },
        "ratios": measured_json(stream.measured()),
    }


def held_table(held: HoldFigures) -> Table:
    """What each program used."""
    made = table("program", _right("resident"), _right("of a core"))
    for program, used in held.used.items():
        made.add_row(program, size(used.memory), f"{used.share:.2%}")
    return made


def held_line(held: HoldFigures) -> str:
    """How long heartbeats took, and how many were lost."""
    delays = ", ".join(f"p{percent} {span(held.delay(percent))}" for percent in (50, 90, 99))
    return (
        f"{held.members} members for {held.seconds:.0f} s; delay of {len(held.seen.delays)}"
        f" heartbeats: {delays}; {held.published.lost} of {_published(held)} publications lost"
    )


def held_json(held: HoldFigures) -> dict[str, Any]:
    """The same for programs."""
    return {
        "members": held.members,
        "seconds": held.seconds,
        "heartbeats_seen": len(held.seen.delays),
        "delay": {f"p{percent}": round(held.delay(percent), 4) for percent in (50, 90, 99)},
        "not_alive_at_worst": held.seen.other,
        "published": _published(held),
        "lost": held.published.lost,
        "used": {
            program: {"resident": used.memory, "share_of_a_core": round(used.share, 5)}
            for program, used in held.used.items()
        },
        "figures": measured_json(held.measured()),
    }


def fanout_table(found: FannedOut) -> Table:
    """How long a message took to the last inbox, each way."""
    head = f"{found.bytes} bytes to {found.queues} inboxes"
    made = table(head, _right("median"), _right("fastest"), _right("slowest"))
    for name, times in _ways(found).items():
        made.add_row(name, span(median(times)), span(min(times)), span(max(times)))
    return made


def fanout_json(found: FannedOut) -> dict[str, Any]:
    """The same for programs, every message by itself."""
    return {
        "inboxes": found.queues,
        "bytes": found.bytes,
        "seconds": {
            name: [round(each, 5) for each in times] for name, times in _ways(found).items()
        },
        "figures": measured_json(found.measured()),
    }


def _ways(found: FannedOut) -> dict[str, list[Seconds]]:
    return {"an update, applied": found.ours, "the same bytes, read": found.plain}


def agreeing_table(found: AgreementFigures) -> Table:
    """How long changes took in each phase, beside the raw round trip."""
    made = table(
        f"{found.supernodes} supernodes: put at",
        *map(_right, ("raw round trip", "to agreed", "one-way delays")),
        _right(f"to the last of {found.members} members"),
    )
    for phase in found.phases:
        made.add_row(Text(f"{phase.name}: {phase.rate:,.0f} changes/s sustained", style="bold"))
        for one in phase.series:
            times = map(_median_and_p99, (one.raw, one.agreed, one.applied))
            raw, agreed, applied = times
            made.add_row(f"  {one.at}", raw, agreed, f"{one.delays:.1f}", applied)
    return made


def agreeing_json(found: AgreementFigures) -> dict[str, Any]:
    """The same for programs, in seconds."""
    return {
        "supernodes": found.supernodes,
        "members": found.members,
        "phases": [
            {
                "phase": phase.name,
                "delay": phase.delay,
                "changes_per_second": round(phase.rate, 1),
                "put_at": [_series_json(one) for one in phase.series],
            }
            for phase in found.phases
        ],
        "figures": measured_json(found.measured()),
    }


def _series_json(one: DelaySeries) -> dict[str, Any]:
    measured = {"raw_round_trip": one.raw, "agreed": one.agreed, "applied": one.applied}
    return {
        "where": one.at,
        "changes": len(one.agreed),
        "one_way_delays": round(one.delays, 2),
        **{
            name: {f"p{n}": round(percentile(times, n), 5) for n in (50, 99)}
            for name, times in measured.items()
        },
    }


def _median_and_p99(times: list[Seconds]) -> str:
    return f"{span(percentile(times, 50))}, p99 {span(percentile(times, 99))}"


def joins_table(found: JoinFigures) -> Table:
    """What each crowd took, and the others that joined after it."""
    made = table(
        "inboxes hear",
        *map(_right, ("members", "joined in", "inboxes in", "hellos", "revisions", "slots")),
        *map(_right, ("supernode", "broker", "updates in an inbox", "of these joins")),
    )
    for crowd in found.crowds:
        heard = f"{crowd.each:,.1f}", f"{crowd.share:.1%}"
        made.add_row(crowd.name, *_wave(crowd.first), "", "")
        made.add_row("  others join", *_wave(crowd.others), *heard)
    return made


def _wave(wave: JoinWave) -> list[str]:
    counts = map(str, (wave.hellos, wave.revisions, wave.slots))
    costs = [
        f"{cost:.1f} s, {1000 * cost / wave.members:.1f} ms each"
        for cost in (wave.supernode, wave.broker)
    ]
    times = f"{wave.joined:.1f} s", f"{wave.welcomed:.1f} s"
    return [str(wave.members), *times, *counts, *costs]


def joins_json(found: JoinFigures) -> dict[str, Any]:
    """The same for programs, in seconds; processor time is that of all members together."""
    return {
        "crowds": [
            {
                "inboxes_hear": crowd.name,
                "first": asdict(crowd.first),
                "others": asdict(crowd.others),
                "updates_in_inboxes": crowd.messages,
                "updates_in_an_inbox": round(crowd.each, 3),
                "share_of_joins": round(crowd.share, 5),
            }
            for crowd in found.crowds
        ],
        "figures": measured_json(found.measured()),
    }


def _published(held: HoldFigures) -> int:
    return held.published.confirmed + held.published.lost


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _number(value: float, unit: str) -> str:
    return f"{value:,.2f} {unit}".rstrip()
