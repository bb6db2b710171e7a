"""A RabbitMQ of our own: an ordinary process in a folder of its own, no service, no epmd, no root.

It is ready when it says so itself and serves TLS, and it dies with the process that started it.
What it is told at start is in `configuration.py`; which RabbitMQ runs, in `program.py`.
"""

import contextlib
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nm_broker.configuration import (
    MANAGEMENT_USER,
    definitions,
    enabled_plugins,
    rabbitmq_conf,
)
from nm_broker.loopback import free_address, free_port, is_free
from nm_broker.management import ManagementApi
from nm_broker.pki import write_private
from nm_broker.program import Installed, Program
from nm_bus.errors import BrokerStartError, ConfigError, TimedOutError
from nm_bus.settings import Tls

START_LIMIT = 90.0
"""Seconds for a start; three to seven are usual, several at once on a busy machine take longer."""

STOP_LIMIT = 30.0
"""Seconds for a clean stop, six being usual with the management plugin; then it is killed."""

MACHINE = (
    "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none +A 4 +SDio 2 +stbt u"
    " -sname {node} -start_epmd false -erl_epmd_port {port}"
    " -kernel inet_dist_use_interface {{127,0,0,1}}"
)
"""One scheduler that never spins. A name on the command line spares the epmd daemon."""

LIFELINE = 'read -r _ || kill -KILL -- "-$1"'
"""Waits for a word from us; the end of file that our death leaves behind kills the broker."""


@dataclass(frozen=True, slots=True)
class PrivateBroker:
    """What a private broker is. Starting it again in the same folder finds its queues again.

    `address` is a loopback address; AMQPS and the management API listen there and nowhere else.
    """

    folder: Path
    name: str
    project: str
    tls: Tls
    address: str
    dist_port: int
    amqps_port: int = 5671
    management_port: int = 15672
    program: Program = field(default_factory=Installed)

    @classmethod
    def placed(
        cls,
        folder: Path,
        name: str,
        project: str,
        tls: Tls,
        program: Program | None = None,
    ) -> "PrivateBroker":
        """A broker on an address and ports that are free now."""
        address = free_address(5671, 15672)
        program = program or Installed()
        return cls(folder, name, project, tls, address, free_port(), program=program)

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.folder / "log" / "rabbit.log"

    def start(self, timeout: float = START_LIMIT) -> "RunningBroker":
        """Start it and wait until it serves AMQPS, at most `timeout` seconds.

        Raises BrokerStartError with the telling line; nothing of it is left running then.
        """
        if missing := self.program.missing():
            raise BrokerStartError(missing)
        self._check_certificates()
        self._check_ports()
        try:
            password = self._write_files()
        except OSError as error:
            where = error.filename or self.folder
            raise BrokerStartError(f"{where}: cannot be written: {error.strerror}") from None
        deadline = time.monotonic() + timeout
        with _ready_socket() as ready:
            running = RunningBroker(self, self._spawn(ready.getsockname()), password)
            try:
                self._wait_until_ready(running, ready, deadline)
                self._wait_until_served(running, deadline)
            except BaseException:
                running.kill()
                raise
        return running

    def environment(self) -> dict[str, str]:
        """The environment of the broker's programs: nothing of a system-wide broker leaks in."""
        folder, node = self.folder, "nm@localhost"
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(folder / "home"),
            "RABBITMQ_NODENAME": node,
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_MNESIA_DIR": str(folder / "data" / "node"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_MAX_NUMBER_OF_PROCESSES": "65536",
            "RABBITMQ_MAX_NUMBER_OF_ATOMS": "1048576",
            "ERL_MAX_PORTS": "8192",
            "ERL_EPMD_PORT": "1",
            "ERL_CRASH_DUMP_SECONDS": "0",
        }

    def _check_certificates(self) -> None:
        for path in (self.tls.ca, self.tls.certificate, self.tls.key):
            if not os.access(path, os.R_OK):
                raise BrokerStartError(f"{path}: the broker {self.name} cannot read it; issue it")

    def _check_ports(self) -> None:
        for address, port in self._listens():
            if not is_free(address, port):
                raise BrokerStartError(
                    f"{address}:{port}: the broker {self.name} cannot listen there, another"
                    " program does; stop that one or choose another address"
                )

    def _listens(self) -> list[tuple[str, int]]:
        ours = [(self.address, port) for port in (self.amqps_port, self.management_port)]
        return [*ours, ("127.0.0.1", self.dist_port)]

    def _write_files(self) -> str:
        """Write the configuration, keep the secrets of an earlier start; give the password."""
        for name in ("home", "data", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        _secret(self.folder / "home" / ".erlang.cookie", mode=0o400)
        password = _secret(self.folder / "management.password")
        conf = rabbitmq_conf(
            name=self.name,
            project=self.project,
            address=self.address,
            amqps_port=self.amqps_port,
            management_port=self.management_port,
            tls=self.tls,
        )
        known = self.folder / "definitions.json"
        write_private(known, definitions(self.project, password).encode())
        conf += f"\nload_definitions = {known}\n"
        write_private(self.folder / "rabbitmq.conf", conf.encode())
        write_private(self.folder / "enabled_plugins", enabled_plugins().encode())
        self.log.write_text("")
        return password

    def _spawn(self, notify: bytes) -> subprocess.Popen[bytes]:
        node = "nm@localhost"
        machine = MACHINE.format(node=node, port=self.dist_port)
        environment = self.environment() | {
            "NOTIFY_SOCKET": "@" + notify[1:].decode(),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": machine,
        }
        with (self.folder / "log" / "start.log").open("wb") as output:
            return subprocess.Popen(
                self.program.command("rabbitmq-server", self._folders()),
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _folders(self) -> tuple[Path, ...]:
        tls = (self.tls.ca.parent, self.tls.certificate.parent, self.tls.key.parent)
        return tuple(dict.fromkeys((self.folder, *tls)))

    def _wait_until_ready(
        self, running: "RunningBroker", ready: socket.socket, deadline: float
    ) -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                said = ready.recv(4096)
                if b"READY=1" in said:
                    return
                if b"STOPPING=1" in said:
                    break
            if not running.is_running:
                break
        raise BrokerStartError(f"the broker {self.name} did not start: {self._telling_line()}")

    def _wait_until_served(self, running: "RunningBroker", deadline: float) -> None:
        """RabbitMQ calls itself ready even when its TLS listener has failed: see for ourselves."""
        try:
            context = ssl.create_default_context(cafile=self.tls.ca)
            context.load_cert_chain(self.tls.certificate, self.tls.key)
            left = max(1.0, deadline - time.monotonic())
            where = (self.address, self.amqps_port)
            with (
                socket.create_connection(where, timeout=left) as plain,
                context.wrap_socket(plain, server_hostname=self.name),
            ):
                return
        except OSError as error:
            raise BrokerStartError(
                f"the broker {self.name} serves no TLS on {self.address}:{self.amqps_port}:"
                f" {error}; {self._telling_line()}"
            ) from None

    def _telling_line(self) -> str:
        """The line of the logs that says why a start failed."""
        texts = [
            path.read_text(errors="replace")
            for path in (self.log, self.folder / "log" / "start.log")
            if path.exists()
        ]
        lines = [line for text in texts for line in text.splitlines()]
        for telling in TELLING:
            for line in lines:
                if found := telling.search(line):
                    return found.group().strip()
        return f"see {self.log}"


TELLING = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)[^:\[]*(?:no space left|enospc).*",
        r"(?i)\S*(?:eaddrinuse|eaddrnotavail).*",
        r"(?<=\[error\] ).*(?:invalid|cannot|could not|unable|failed).*",
        r"(?i)\S.*(?:invalid|cannot|could not|unable|permission denied).*",
        r"(?<=\[error\] ).*\S{3}.*",
    )
)
"""What a start that failed is told by, the plainest cause first."""


@dataclass(slots=True)
class RunningBroker:
    """A private broker that runs. Its process group is its own: signals reach nothing else."""

    settings: PrivateBroker
    _process: subprocess.Popen[bytes]
    password: str
    _lifeline: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self._lifeline = subprocess.Popen(
            ["sh", "-c", LIFELINE, "lifeline", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id of the Erlang machine."""
        return self.settings.program.vm(self._process.pid)

    @property
    def is_running(self) -> bool:
        """Whether the process lives, be it paused."""
        return self._process.poll() is None

    @property
    def api(self) -> ManagementApi:
        """Its management API, with the rights of its administrator."""
        url = f"http://{self.settings.address}:{self.settings.management_port}"
        return ManagementApi(url, MANAGEMENT_USER, self.password)

    def stop(self, timeout: float = STOP_LIMIT) -> None:
        """Stop it in good order; kill it when it has not stopped within `timeout` seconds."""
        if self.is_running:
            self.resume()
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would. Harmless when it has ended."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._lifeline.communicate(b"over\n")

    def pause(self) -> None:
        """Stop the process: its connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def ctl(self, *arguments: str, timeout: float = 30.0) -> str:
        """Run `rabbitmqctl` on it and give what it printed; raises ConfigError when it fails."""
        port = self.settings.dist_port
        own = {
            "RABBITMQ_CTL_ERL_ARGS": f"-start_epmd false -erl_epmd_port {port} -dist_listen false"
        }
        command = self.settings.program.command("rabbitmqctl", self.settings._folders())
        try:
            ran = subprocess.run(
                [*command, "--quiet", *arguments],
                env=self.settings.environment() | own,
                cwd=self.settings.folder,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=True,
            )
        except subprocess.TimeoutExpired:
            raise TimedOutError(
                f"rabbitmqctl {arguments[0]} did not end within {timeout:g} s"
            ) from None
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip()
            raise ConfigError(f"rabbitmqctl {arguments[0]}", said) from None
        return ran.stdout

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Within, the broker believes that its memory is full and blocks whoever publishes."""
        self.ctl("set_vm_memory_high_watermark", "0")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@contextlib.contextmanager
def _ready_socket() -> Iterator[socket.socket]:
    """A socket without a file: its name is the kernel's choice and goes when it is closed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind("")
        ready.settimeout(0.5)
        yield ready


def _secret(path: Path, mode: int = 0o600) -> str:
    if not path.exists():
        write_private(path, secrets.token_hex(20).encode())
        path.chmod(mode)
    return path.read_text().strip()
