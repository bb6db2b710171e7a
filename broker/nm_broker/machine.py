"""The Erlang machine that a private broker runs in: its environment and its command lines.

Nothing of a system-wide RabbitMQ leaks in, and no epmd is needed: the machine's port is fixed.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nm_broker.program import Program
from nm_bus.errors import RefusedError, TimedOutError

NODE = "nm@localhost"
"""The same for all: what differs is the port. A folder can so be moved to another address."""

SERVER = (
    "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +A 4 +SDio 2 +stbt u"
    " -sname {node} -erl_epmd_port {port}"
    " -kernel inet_dist_use_interface {{127,0,0,1}}"
)
"""One scheduler that never spins. A name on the command line spares the epmd daemon."""

NO_EPMD = "-start_epmd false"
"""For whatever Erlang program runs: once a minute RabbitMQ starts one only to bring up an epmd."""

TOOL = "-erl_epmd_port {port} -dist_listen false"

LIMITS = {
    "RABBITMQ_MAX_NUMBER_OF_PROCESSES": "65536",
    "RABBITMQ_MAX_NUMBER_OF_ATOMS": "1048576",
    "ERL_MAX_PORTS": "8192",
}
"""Tables that the machine reserves at start, an eighth of its usual memory: enough for thousands
of connections."""


@dataclass(frozen=True, slots=True)
class ErlangMachine:
    """An Erlang machine with everything of its own in `folder`.

    `port` is where its tools talk to it, on 127.0.0.1. `shown` are the folders that its programs
    read besides their own.
    """

    folder: Path
    port: int
    program: Program
    shown: tuple[Path, ...] = ()

    @property
    def cookie(self) -> Path:
        """The secret that lets a tool in; the machine wants it to have mode 0400."""
        return self.folder / "home" / ".erlang.cookie"

    def environment(self) -> dict[str, str]:
        """The environment of the machine and of its tools."""
        folder = self.folder
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_MNESIA_DIR": str(folder / "data" / "node"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.port),
            "ERL_EPMD_PORT": "1",
            "ERL_ZFLAGS": NO_EPMD,
            "ERL_CRASH_DUMP_SECONDS": "0",
            **LIMITS,
        }

    def spawn(self, notify: str) -> subprocess.Popen[bytes]:
        """Start the broker in a process group of its own; it tells `notify` when it is ready."""
        own = {
            "NOTIFY_SOCKET": notify,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": SERVER.format(node=NODE, port=self.port),
        }
        with (self.folder / "log" / "start.log").open("wb") as output:
            return subprocess.Popen(
                self.program.command("rabbitmq-server", (self.folder, *self.shown)),
                env=self.environment() | own,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def ctl(self, *arguments: str, timeout: float) -> str:
        """Run `rabbitmqctl` and give what it printed; raises RefusedError, TimedOutError."""
        command = self.program.command("rabbitmqctl", (self.folder, *self.shown))
        try:
            ran = subprocess.run(
                [*command, "--quiet", *arguments],
                env=self.environment() | {"RABBITMQ_CTL_ERL_ARGS": TOOL.format(port=self.port)},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            limit = f"within {timeout:g} s"
            raise TimedOutError(f"rabbitmqctl {arguments[0]} did not end {limit}") from None
        if ran.returncode != 0:
            said = " ".join((ran.stderr or ran.stdout).split())
            raise RefusedError(f"rabbitmqctl {arguments[0]} failed: {said}")
        return ran.stdout
