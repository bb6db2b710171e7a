"""What the bench found, as tables for a person and as JSON for programs."""

from collections.abc import Sequence
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from nm_agents.bench.aims import Measured
from nm_agents.bench.ingest import NAMES, Stream
from nm_agents.cli.status_screen import table


def stream_table(stream: Stream) -> Table:
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


def stream_json(stream: Stream) -> dict[str, Any]:
    """A stream's rates, round by round, and its ratios."""
    return {
        "stream": stream.name,
        "bytes": stream.bytes,
        "messages_per_cpu_second": {
            NAMES[reader]: [round(rate) for rate in rates] for reader, rates in stream.rates.items()
        },
        "ratios": measured_json(stream.measured()),
    }


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _number(value: float, unit: str) -> str:
    return f"{value:,.2f} {unit}".rstrip()
