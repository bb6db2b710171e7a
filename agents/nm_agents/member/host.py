"""What is measured on this host, by psutil, under the names of the metric catalogue.

A host may refuse any of it: no right to /proc, a container's broken one, a kernel without a
counter. Then that series is missing and a reason is given; the agent goes on.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.agent import Measurement, label

LOOK_WITHIN = 0.1
"""How long a look at a mount point may hold up the loop. A dead network file system hangs for
hours; it hangs in a thread of its own, and its series are missing as long as it does."""

Values = dict[str, float]


class Host:
    """This host's metrics. `mounts` are the mount points whose disks are measured."""

    def __init__(self, mounts: tuple[str, ...]) -> None:
        self._process: psutil.Process | None = None
        disks: dict[str, Callable[[], Values]] = {
            f"disk {mount}": Disk(mount).measure for mount in mounts
        }
        self._sources: dict[str, Callable[[], Values]] = {
            "load": _load,
            "memory": _memory,
            "swap": _swap,
            "network": _network,
            "cpu": _processors,
            "uptime": _uptime,
            "agent": self._agent,
            **disks,
        }
        attempt(psutil.cpu_percent)  # percentages are those since the call before
        attempt(self._agent)

    def measure(self) -> Measurement:
        """Measure now. Percentages of CPU are those since the last call."""
        values: Values = {}
        troubles: dict[str, str] = {}
        for name, source in self._sources.items():
            found = attempt(source)
            if isinstance(found, Unreadable):
                troubles[name] = found.reason
            else:
                values |= found
        return Measurement(values, troubles)

    def _agent(self) -> Values:
        self._process = self._process or psutil.Process()
        return {
            "agent.memory.rss": float(self._process.memory_info().rss),
            "agent.cpu.percent": self._process.cpu_percent(),
        }


class Disk:
    """One mount point, looked at so that a file system that hangs cannot stop the agent."""

    def __init__(self, mount: str) -> None:
        self._mount, self._label = mount, label(mount)
        self._look: threading.Thread | None = None
        self._seen: Values | Unreadable = {}

    def measure(self) -> Values:
        """Its series. Raises OSError when it does not answer, is not there or not mounted."""
        if self._look is None or not self._look.is_alive():
            self._look = threading.Thread(target=self._measure, daemon=True)
            self._look.start()
            self._look.join(LOOK_WITHIN)
        if self._look.is_alive():
            raise TimeoutError("the file system does not answer")
        if isinstance(self._seen, Unreadable):
            raise OSError(self._seen.reason.removeprefix("cannot be read: "))
        return self._seen

    def _measure(self) -> None:
        self._seen = attempt(self._usage)

    def _usage(self) -> Values:
        if not is_mounted(self._mount):
            # what lies there is the disk of the folder above, whose figures would be a lie here
            raise OSError("nothing is mounted there" if Path(self._mount).is_dir() else "not there")
        usage = psutil.disk_usage(self._mount)
        return {
            f"disk.used[{self._label}]": float(usage.used),
            f"disk.free[{self._label}]": float(usage.free),
            f"disk.total[{self._label}]": float(usage.total),
            f"disk.percent[{self._label}]": float(usage.percent),
        }


def is_mounted(folder: str) -> bool:
    """Whether a file system is mounted at this folder, a bound one included. It may hang."""
    if os.path.ismount(folder):
        return True
    real = os.path.realpath(folder)
    mounted = attempt(lambda: {each.mountpoint for each in psutil.disk_partitions(all=True)})
    return not isinstance(mounted, Unreadable) and real in mounted


def _processors() -> Values:
    return {"host.cpu.percent": psutil.cpu_percent()}


def _uptime() -> Values:
    return {"host.uptime": max(0.0, time.time() - psutil.boot_time())}


def _load() -> Values:
    one, five, fifteen = os.getloadavg()
    return {"host.load.1m": one, "host.load.5m": five, "host.load.15m": fifteen}


def _memory() -> Values:
    memory = psutil.virtual_memory()
    return {
        "host.memory.used": float(memory.used),
        "host.memory.total": float(memory.total),
        "host.memory.available": float(memory.available),
        "host.memory.percent": float(memory.percent),
    }


def _swap() -> Values:
    swap = psutil.swap_memory()
    return {
        "host.swap.used": float(swap.used),
        "host.swap.total": float(swap.total),
        "host.swap.percent": float(swap.percent),
    }


def _network() -> Values:
    """All interfaces but the loopback one: what a host tells itself is no network traffic."""
    counters = psutil.net_io_counters(pernic=True)
    real = [counter for name, counter in counters.items() if name != "lo"]
    return {
        "net.sent.bytes": float(sum(counter.bytes_sent for counter in real)),
        "net.received.bytes": float(sum(counter.bytes_recv for counter in real)),
    }
