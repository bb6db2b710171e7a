"""What is measured on this host, by psutil, under the names of the metric catalogue."""

import logging
import os
import threading
import time

import psutil

LOGGER = logging.getLogger(__name__)

LOOK_WITHIN = 0.1
"""How long a look at a mount point may hold up the loop. A dead network file system hangs for
hours; it hangs in a thread of its own, and its series are missing as long as it does."""


class Host:
    """This host's metrics. `mounts` are the mount points whose disks are measured."""

    def __init__(self, mounts: tuple[str, ...]) -> None:
        self._disks = [Disk(mount) for mount in mounts]
        self._self = psutil.Process()
        self._self.cpu_percent()
        psutil.cpu_percent()

    def measure(self) -> dict[str, float]:
        """Measure now. Percentages of CPU are those since the last call."""
        values = _load() | _memory() | _network() | self._agent()
        values["host.cpu.percent"] = psutil.cpu_percent()
        values["host.uptime"] = max(0.0, time.time() - psutil.boot_time())
        for disk in self._disks:
            values |= disk.measure()
        return values

    def _agent(self) -> dict[str, float]:
        return {
            "agent.memory.rss": float(self._self.memory_info().rss),
            "agent.cpu.percent": self._self.cpu_percent(),
        }


class Disk:
    """One mount point, looked at so that a file system that hangs cannot stop the agent."""

    def __init__(self, mount: str) -> None:
        self._mount = mount
        self._look: threading.Thread | None = None
        self._seen: dict[str, float] = {}
        self._silent = False

    def measure(self) -> dict[str, float]:
        """Its series, or none when it does not answer."""
        if self._look is None or not self._look.is_alive():
            self._seen = {}
            self._look = threading.Thread(target=self._measure, daemon=True)
            self._look.start()
            self._look.join(LOOK_WITHIN)
        seen = {} if self._look.is_alive() else self._seen
        self._say(bool(seen))
        return seen

    def _measure(self) -> None:
        try:
            usage = psutil.disk_usage(self._mount)
        except OSError:
            return
        self._seen = {
            f"disk.used[{self._mount}]": float(usage.used),
            f"disk.free[{self._mount}]": float(usage.free),
            f"disk.total[{self._mount}]": float(usage.total),
            f"disk.percent[{self._mount}]": float(usage.percent),
        }

    def _say(self, answers: bool) -> None:
        if answers == self._silent:
            self._silent = not answers
            say = LOGGER.info if answers else LOGGER.warning
            say("disk %s %s", self._mount, "answers again" if answers else "cannot be measured")


def _load() -> dict[str, float]:
    one, five, fifteen = os.getloadavg()
    return {"host.load.1m": one, "host.load.5m": five, "host.load.15m": fifteen}


def _memory() -> dict[str, float]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "host.memory.used": float(memory.used),
        "host.memory.total": float(memory.total),
        "host.memory.available": float(memory.available),
        "host.memory.percent": float(memory.percent),
        "host.swap.used": float(swap.used),
        "host.swap.total": float(swap.total),
        "host.swap.percent": float(swap.percent),
    }


def _network() -> dict[str, float]:
    """All interfaces but the loopback one: what a host tells itself is no network traffic."""
    counters = psutil.net_io_counters(pernic=True)
    real = [counter for name, counter in counters.items() if name != "lo"]
    return {
        "net.sent.bytes": float(sum(counter.bytes_sent for counter in real)),
        "net.received.bytes": float(sum(counter.bytes_recv for counter in real)),
    }
