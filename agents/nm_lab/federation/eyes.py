"""An administrator's eyes on a federation: asks the supernodes, and hears the alerts.

The alerts come from `nm-bus alerts watch`, run as an administrator would, in a process of its own.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nm_bus.client import Client, Picture
from nm_bus.errors import NmBusError, TimedOutError
from nm_bus.messages import (
    Alert,
    AlertState,
    MemberState,
    MemberView,
    NodeId,
    Seconds,
)
from nm_lab.federation.building import ProcessGroup

LOOK: Seconds = 0.5
ANSWER: Seconds = 10.0


class UntrueError(Exception):
    """What should have come true did not: what was expected and what was seen."""


@dataclass
class AlertWatch:
    """The alerts that an administrator was shown, in their order."""

    config: Path
    heard: Callable[[Alert], None]
    lifeline: ProcessGroup
    shown: list[Alert] = field(default_factory=list)
    _process: "subprocess.Popen[bytes] | None" = None
    _reader: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch."""
        words = ["alerts", "watch", "--json", "--config", str(self.config)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nm_agents.main", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=self.lifeline.group,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """End it; what it was shown stays."""
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            self._process.wait(ANSWER)
            self._reader.join(ANSWER)

    def of(self, kind: str, subject: NodeId, state: AlertState) -> list[Alert]:
        """The transitions of one trouble that were shown so far."""
        return [a for a in self.shown if (a.kind, a.subject, a.state) == (kind, subject, state)]

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            alert = msgspec.json.decode(line, type=Alert)
            self.shown.append(alert)
            self.heard(alert)
        process.stdout.close()


@dataclass
class Eyes:
    """Looks at the federation through one supernode after the other, as an administrator."""

    config: Path

    def overview(self, supernode: NodeId) -> Picture:
        """What one supernode knows; raises NmBusError when it does not answer."""
        with self._client() as client:
            return client.at(supernode).status()

    def members(self, supernode: NodeId) -> dict[NodeId, MemberView]:
        """The members as one supernode knows them."""
        return {member.state.node: member for member in self.overview(supernode).members}

    def member(self, supernode: NodeId, node: NodeId) -> MemberState:
        """One member as one supernode knows it."""
        with self._client() as client:
            return client.at(supernode).node(node).member.state

    def measured(self, node: NodeId) -> tuple[int, int]:
        """How often a member says that it measured, and how many messages wait in its spool."""
        with self._client() as client:
            told = client.ask(node, "status")
        return int(told["measured"]), int(told["spool"]["waiting"])

    def _client(self) -> Client:
        return Client(self.config, timeout=ANSWER)


def wait_for(what: str, holds: Callable[[], str], within: Seconds) -> None:
    """Wait until `holds` says that nothing is missing; raises UntrueError with what still is."""
    deadline = time.monotonic() + within
    while missing := _asked(holds):
        if time.monotonic() > deadline:
            raise UntrueError(f"{what}: not within {within:g} s: {missing}")
        time.sleep(LOOK)


def _asked(holds: Callable[[], str]) -> str:
    try:
        return holds()
    except TimedOutError as error:
        return f"no answer: {error}"
    except NmBusError as error:
        return str(error)
