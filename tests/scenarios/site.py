"""Hosts as folders in place of their /etc and /var, on which the commands themselves are run."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

from nm_broker.loopback import free_address
from nm_broker.program import Program, Unpacked
from nm_lab.federation.building import end

from .until import until

LIMIT = 60.0
"""How long a command may take, on a machine that is busy with other things."""


@dataclass
class Site:
    """Hosts as folders, and what runs on them."""

    folder: Path
    program: Program
    addresses: dict[str, str] = field(default_factory=dict)
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def told(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            command(*words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def did(self, *words: str | Path) -> str:
        """Run a command that must succeed; give what it printed."""
        ran = self.told(*words)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

    def start(self, name: str, *words: str | Path) -> None:
        """Start a command that goes on."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command(*words),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def supernode(self, node: str) -> Path:
        return self.folder / node / "supernode.toml"

    def set_up(self, host: str, kind: str, *options: str, name: str = "") -> Path:
        """A settings file on a host, written by the command."""
        home = self.folder / host
        place = home / f"{name or kind}.toml"
        answers = ["--project", "cmip6", "--certificate", str(home / f"{host}.crt")]
        state = [] if kind == "admin" else ["--folder", str(home / "state")]
        self.did("setup", kind, *answers, *state, "--network", "local", "--to", place, *options)
        return place

    def at(self, node: str) -> str:
        """A supernode with its address, as options name it."""
        return f"{node}@{self.addresses[node]}"

    def bring(self, host: str, *names: str) -> None:
        """Copy certificates to a host."""
        (self.folder / host).mkdir(exist_ok=True)
        own = [f"{name}.{part}" for name in names for part in ("crt", "key")]
        for name in ("ca.crt", *own):
            shutil.copy(self.folder / "pki" / name, self.folder / host / name)

    def end(self) -> None:
        """End members, supernodes and brokers, in this order."""
        for kind in ("member", "supernode", "broker"):
            end(p for name, p in self.running.items() if name.startswith(kind))


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "nm_agents.main", *map(str, words)]


def serves(site: Site, node: str) -> bool:
    return "serves cmip6" in site.log(f"broker {node}")


def links_run(site: Site, node: str) -> bool:
    return site.told("broker", "links", "--config", site.supernode(node)).returncode == 0


def brokers(site: Site, *nodes: str) -> None:
    """Supernodes that are peers of each other: their settings, and a broker each that serves."""
    for node in nodes:
        site.addresses[node] = free_address(5671, 15672)
    elsewhere = ("--rabbitmq", site.program.root) if isinstance(site.program, Unpacked) else ()
    for node in nodes:
        here = site.addresses[node]
        peers = chain.from_iterable(("--peer", site.at(each)) for each in nodes if each != node)
        own = ("--address", here, "--management", f"http://{here}:15672", *peers)
        config = site.set_up(node, "supernode", *own)
        site.start(f"broker {node}", "broker", "run", "--config", config, *elsewhere)
    for node in nodes:
        until(partial(serves, site, node), f"the broker of {node} serves")
