"""The lists of the ledger look as they did, on wide and on narrow terminals."""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from nm_agents.cli.alerts import alert_view
from nm_agents.cli.log import LOG
from nm_agents.cli.screen.listing import ListView, listing
from nm_agents.cli.supernode import Listed, supernode_view
from nm_bus.messages import Change, Entry, Update
from nm_lab.samples.history import update_of

from .conftest import ALERTS, EVIL, NOW, SN, standing
from .pictures import WIDTHS, agrees_with, drawn

MICROS = 1_790_000_000_000_000


def update(revision: int, kind: str, key: str, **value: object) -> Update:
    actor = "me.llnl.gov" if revision % 2 else "curator.dkrz.de"
    change = Change(f"{actor}/b/{revision}", actor, kind, key, value=value)
    time = MICROS + revision * 1_000_000
    return update_of(change, revision, time=time, previous="0" * 64, head="1" * 64)


UPDATES = [
    update(815, "set", "config/thredds/catalog.xml", content="<x/>", note="a new server in Kiel"),
    update(814, "admit", "supernode/sn3.ceda.ac.uk", role="standby", incarnation="2d81c0"),
    update(813, "leave", "member/esgf-node1.llnl.gov"),
    update(812, "set", "config/search/settings.json", content="{}", note=EVIL),
]

VALUES = (("voter", "genesis", 5671), ("voter", "3e92d1", 5671), ("standby", "2d81c0", 45671))
ENTRIES = [
    Entry(
        f"supernode/{node}",
        {"role": role, "incarnation": word, "weight": 1, "host": node, "port": port},
        800 + port % 7,
        "me.llnl.gov",
    )
    for node, (role, word, port) in zip(SN, VALUES, strict=True)
]
STANDINGS = [standing(SN[0]), standing(SN[1], 640, state="listening"), None]


T = TypeVar("T")


def looks_as_it_did(name: str, width: int | None, view: ListView[T], found: Sequence[T]) -> bool:
    rows = [view.row(one) for one in found]
    said = drawn(lambda columns: listing(view.fields, rows, columns), width)
    return agrees_with(name, width, said)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_log_looks_as_it_did(width: int | None) -> None:
    assert looks_as_it_did("log", width, LOG, UPDATES)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_supernodes_look_as_they_did(width: int | None) -> None:
    found = [Listed(*pair) for pair in zip(ENTRIES, STANDINGS, strict=True)]
    assert looks_as_it_did("supernodes", width, supernode_view(set(SN)), found)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_alerts_look_as_they_did(width: int | None) -> None:
    assert looks_as_it_did("alerts", width, alert_view(NOW), ALERTS)
