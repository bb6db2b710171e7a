"""Who plays in the demonstration: three supernodes, twelve members, and the checks they run."""

from pathlib import Path
from typing import Any

from nm_bus.messages import NodeId
from nm_lab.federation.building import Plan

PROJECT = "demo"

SUPERNODES: tuple[NodeId, ...] = ("sn1.llnl.example", "sn2.dkrz.example", "sn3.nci.example")

SITES = {
    "llnl": ("Livermore", 37.7, -121.7),
    "ornl": ("Oak Ridge", 35.9, -84.3),
    "dkrz": ("Hamburg", 53.6, 10.0),
    "ipsl": ("Paris", 48.8, 2.3),
    "nci": ("Canberra", -35.3, 149.1),
    "liu": ("Linkoping", 58.4, 15.6),
}

CHECK = "store"
"""The self-check that the story turns critical."""

COMPONENT, DOCUMENT = "portal", "sites.json"
"""The document that every member keeps."""

INTERVAL = 2.0
"""Seconds between heartbeats and between measurements: short, so that the story is."""

PLUGIN = """#!/bin/sh
# A self-check in the form of a Nagios plugin: it reads its state from a file.
read -r state < "$1" || state=OK
case "$state" in
  OK) echo "STORE OK - every volume is mounted"; exit 0 ;;
  *) echo "STORE CRITICAL - volume /data is gone"; exit 2 ;;
esac
"""


def members() -> dict[NodeId, NodeId]:
    """Twelve members, two a site, spread over the supernodes; each with its home."""
    nodes = [f"node{n}.{site}.example" for site in SITES for n in (1, 2)]
    return {node: SUPERNODES[n * len(SUPERNODES) // len(nodes)] for n, node in enumerate(nodes)}


def state_file(folder: Path, node: NodeId) -> Path:
    """The file that a member's check reads."""
    return folder / "checks" / node


def documents_folder(folder: Path, node: NodeId) -> Path:
    """Where a member keeps the documents of the component."""
    return folder / "documents" / node


def plan(folder: Path) -> Plan:
    """Everything there is to build in a folder."""
    homes = members()
    return Plan(
        folder=folder,
        project=PROJECT,
        supernodes=SUPERNODES,
        members=homes,
        more={node: _more(folder, node) for node in homes},
    )


def write_checks(folder: Path) -> None:
    """Write the plugin and each member's state, all well."""
    (folder / "checks").mkdir(parents=True, exist_ok=True)
    _plugin(folder).write_text(PLUGIN)
    for node in members():
        state_file(folder, node).write_text("OK\n")
        documents_folder(folder, node).mkdir(parents=True, exist_ok=True)


def _plugin(folder: Path) -> Path:
    return folder / "checks" / "store.sh"


def _more(folder: Path, node: NodeId) -> dict[str, Any]:
    site = node.split(".")[1]
    city, latitude, longitude = SITES[site]
    command = ["/bin/sh", str(_plugin(folder)), str(state_file(folder, node))]
    return {
        "heartbeat": {"interval": INTERVAL},
        "metrics": {"interval": INTERVAL, "mounts": ["/"]},
        "checks": [{"name": CHECK, "command": command, "interval": 2.0, "timeout": 5.0}],
        "documents": [{"component": COMPONENT, "folder": str(documents_folder(folder, node))}],
        "properties": {
            "organisation": site.upper(),
            "city": city,
            "latitude": latitude,
            "longitude": longitude,
            "endpoints": [{"name": "data", "url": f"https://{node}/thredds"}],
        },
    }
