"""A RabbitMQ of our own: an ordinary process in a folder of its own, no service, no epmd, no root.

It is ready when it says so itself and serves TLS, and it dies with the process that started it.
What it is told is in `configuration.py`, how it is run in `machine.py` and `program.py`.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from nm_broker.configuration import (
    LOOPBACK,
    MANAGEMENT_USER,
    definitions,
    enabled_plugins,
    rabbitmq_conf,
)
from nm_broker.loopback import free_address, free_port, is_free
from nm_broker.machine import ErlangMachine
from nm_broker.management import ManagementApi
from nm_broker.program import Installed, Program
from nm_broker.service import EVERY_ADDRESS
from nm_bus.errors import BrokerStartError
from nm_bus.files.atomic import replace_file
from nm_bus.settings import SupernodeSettings, Tls, in_url

# --- Why a broker did not start, out of what it wrote: the one line that tells a person.

LENGTH = 300

PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \S+ \[\w+\] <[\d.]+> ")
"""The date, level and process in front of a line."""

CAUSES = (
    (r"\b(?:no space left|enospc)\b", "the disk is full"),
    (r"\b(?:eaddrinuse|eaddrnotavail|address already in use)\b", ""),
    (r"\[error\].*(?:\binvalid\b|\bno setting\b)", ""),
    (r"\[error\].*\b(?:permission denied|eacces|enoent)\b", ""),
    (r"\b(?:cannot|could not|unable|permission denied|no such file|no setting)\b", ""),
    (r"\[error\].*\w{3}", ""),
)
"""A pattern and what to say of it: the line itself when nothing is given. The plainest cause comes
first: what follows from it is now and then written earlier and louder."""


def telling_line(text: str) -> str:
    """What names the cause in a log, or "" when nothing does."""
    lines = text.split("\n")
    for pattern, words in CAUSES:
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return words or PREFIX.sub("", line).strip()[:LENGTH]
    return ""


START_LIMIT = 90.0
"""Seconds for a start; three to seven are usual, several at once on a busy machine take longer."""

STOP_LIMIT = 30.0
"""Seconds for a clean stop, six being usual with the management plugin; then it is killed."""

CTL_LIMIT = 180.0
"""Seconds for a `rabbitmqctl`, which starts a virtual machine; three are usual."""

KILL_LIMIT = 5.0
HANDSHAKE_LIMIT = 10.0

PAUSE_LIMIT = 5.0
"""Seconds for a pause to take hold."""

DISK_NEEDED = 100_000_000
"""Bytes free: a new broker takes up to 20 MB, and below 50 MB it lets nobody publish."""

AMQPS_PORT = 5671
MANAGEMENT_PORT = 15672

LIFELINE = 'read -r _ || kill -s KILL -- "-$1"'
"""Waits for a word from us. When we die, however hard, the pipe ends without one."""


@dataclass(frozen=True, slots=True)
class PrivateBroker:
    """What a private broker is. Started again in the same folder it has its queues again.

    AMQPS listens on `address`, a loopback address but for a broker that serves a site; so does the
    management API unless it has an address of its own. `name` is the node id, which its
    certificate must prove.
    """

    folder: Path
    name: str
    project: str
    tls: Tls
    address: str
    dist_port: int
    amqps_port: int = AMQPS_PORT
    management_port: int = MANAGEMENT_PORT
    program: Program = field(default_factory=Installed)
    management_address: str = ""
    password_at: Path | None = None

    @classmethod
    def described(
        cls, settings: SupernodeSettings, program: Program | None = None
    ) -> "PrivateBroker":
        """The broker that a supernode's settings describe, with its data in the supernode's folder.

        It serves every address unless the settings name one, and its management API this machine.
        """
        management = urlsplit(settings.management.url)
        return cls(
            settings.folder / "broker",
            settings.node,
            settings.project,
            settings.tls,
            settings.broker.address or EVERY_ADDRESS,
            free_port(),
            settings.broker.port,
            management.port or MANAGEMENT_PORT,
            program or Installed(),
            management_address=management.hostname or "127.0.0.1",
            password_at=settings.management.password_file,
        )

    @classmethod
    def placed(
        cls, folder: Path, name: str, project: str, tls: Tls, program: Program | None = None
    ) -> "PrivateBroker":
        """A broker on an address and a port that are free now."""
        address = free_address(AMQPS_PORT, MANAGEMENT_PORT)
        return cls(folder, name, project, tls, address, free_port(), program=program or Installed())

    @property
    def log(self) -> Path:
        """The broker's log, which begins again at each start."""
        return self.folder / "log" / "rabbit.log"

    @property
    def password_file(self) -> Path:
        """The management user's password."""
        return self.password_at or self.folder / "management.password"

    @property
    def machine(self) -> ErlangMachine:
        """The Erlang machine that it runs in."""
        shown = dict.fromkeys(path.parent for path in _files(self.tls))
        return ErlangMachine(self.folder, self.dist_port, self.program, tuple(shown))

    def start(self, timeout: float = START_LIMIT) -> "RunningBroker":
        """Start it and wait until it serves AMQPS, at most `timeout` seconds.

        Raises BrokerStartError with the reason; nothing of it is left running then.
        """
        return replace(
            self,
            folder=self.folder.absolute(),
            tls=Tls(*(path.absolute() for path in _files(self.tls))),
        )._start(timeout)

    def _start(self, timeout: float) -> "RunningBroker":
        deadline = time.monotonic() + timeout
        self._check()
        try:
            password = self._write_files()
        except OSError as error:
            where = error.filename or self.folder
            raise BrokerStartError(f"{where}: cannot be written: {error.strerror}") from None
        with _ready_socket() as (ready, name):
            running = RunningBroker(self, self.machine.spawn(name), password)
            try:
                self._wait_until_ready(running, ready, deadline)
                self._wait_until_served(deadline)
            except BaseException:
                running.kill()
                raise
        return running

    def _check(self) -> None:
        """Find out what can be told in plainer words than the broker would."""
        if missing := self.program.missing():
            raise BrokerStartError(missing)
        for path in _files(self.tls):
            if not os.access(path, os.R_OK):
                raise BrokerStartError(f"{path}: cannot be read; issue the certificate again")
        here = (
            (self.address, self.amqps_port),
            (self.management_address or self.address, self.management_port),
            ("127.0.0.1", self.dist_port),
        )
        for address, port in here:
            if not is_free(address, port):
                raise BrokerStartError(
                    f"{_place(address, port)}: the broker {self.name} cannot listen there: another"
                    " program does, or the address is not this machine's; choose another"
                )

    def _write_files(self) -> str:
        """Write the configuration, keep the secrets of an earlier start; give the password."""
        for name in ("home", "data", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(self.folder).free < DISK_NEEDED:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.folder)
        _secret(self.machine.cookie, mode=0o400)
        password = _secret(self.password_file)
        known = self.folder / "definitions.json"
        conf = rabbitmq_conf(
            name=self.name,
            project=self.project,
            address=self.address,
            amqps_port=self.amqps_port,
            management_address=self.management_address,
            management_port=self.management_port,
            tls=self.tls,
        )
        replace_file(known, definitions(self.project, password).encode())
        replace_file(
            self.folder / "rabbitmq.conf", f"{conf}\nload_definitions = {known}\n".encode()
        )
        replace_file(self.folder / "enabled_plugins", enabled_plugins().encode())
        self.log.write_text("")
        return password

    def _wait_until_ready(
        self, running: "RunningBroker", ready: socket.socket, deadline: float
    ) -> None:
        while running.is_running and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                said = ready.recv(4096)
                if b"READY=1" in said:
                    return
                if b"STOPPING=1" in said:
                    break
        late = "it was not ready in time; " if time.monotonic() >= deadline else ""
        raise BrokerStartError(f"the broker {self.name} did not start: {late}{self._reason()}")

    def _wait_until_served(self, deadline: float) -> None:
        """RabbitMQ calls itself ready even when its TLS listener has failed: see for ourselves."""
        left = min(max(1.0, deadline - time.monotonic()), HANDSHAKE_LIMIT)
        try:
            context = ssl.create_default_context(cafile=self.tls.ca)
            context.load_cert_chain(self.tls.certificate, self.tls.key)
            with (
                socket.create_connection(
                    (self.address or LOOPBACK, self.amqps_port), left
                ) as plain,
                context.wrap_socket(plain, server_hostname=self.name),
            ):
                return
        except OSError as error:
            where = _place(self.address, self.amqps_port)
            raise BrokerStartError(
                f"the broker {self.name} serves no TLS on {where}: {error}; check {self.tls.ca}"
                f" and {self.tls.certificate}"
            ) from None

    def _reason(self) -> str:
        """What the broker's own words say of a failed start; the log may lack the first ones."""
        logs = (self.log, self.folder / "log" / "start.log")
        text = "\n".join(log.read_text(errors="replace") for log in logs if log.exists())
        return telling_line(text) or f"see {self.log}"


@dataclass(slots=True)
class RunningBroker:
    """A private broker that runs. Its process group is its own: signals reach nothing else."""

    settings: PrivateBroker
    _process: subprocess.Popen[bytes]
    password: str = field(repr=False)
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
        address = self.settings.management_address or self.settings.address or LOOPBACK
        url = f"http://{in_url(address)}:{self.settings.management_port}"
        return ManagementApi(url, MANAGEMENT_USER, self.password)

    def stop(self, timeout: float = STOP_LIMIT) -> None:
        """Stop it in good order; kill it when it has not ended within `timeout` seconds."""
        if self.is_running:
            self._end(signal.SIGTERM, timeout)
        self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would. Harmless when it has ended."""
        if self.is_running:
            self._end(signal.SIGKILL, KILL_LIMIT)
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._lifeline.poll() is None:
            self._lifeline.communicate(b"it has ended\n")

    def _end(self, number: signal.Signals, timeout: float) -> None:
        """Signal the machine alone: whatever wraps it ends after it, its ports being free then."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        self.resume()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)

    def pause(self) -> None:
        """Stop the process: its connections stay open and silent, from the return on."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + PAUSE_LIMIT
        while not self._is_stopped() and time.monotonic() < deadline:
            time.sleep(0.01)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def ctl(self, *arguments: str, timeout: float = CTL_LIMIT) -> str:
        """Run `rabbitmqctl` on it; gives what it printed, raises RefusedError, TimedOutError."""
        return self.settings.machine.ctl(*arguments, timeout=timeout)

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Within, the broker believes that its memory is full and blocks whoever publishes."""
        self.ctl("set_vm_memory_high_watermark", "0")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def _is_stopped(self) -> bool:
        """Whether all threads of the machine have stopped: on a busy host that takes a while."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        try:
            return all(t.read_text().rpartition(")")[2].split()[0] == "T" for t in threads)
        except (FileNotFoundError, ProcessLookupError):  # a thread that ended just now
            return False

    def _signal(self, number: signal.Signals) -> None:
        """Signal the whole group, which lasts as long as the process has not been waited for."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


@contextlib.contextmanager
def _ready_socket() -> Iterator[tuple[socket.socket, str]]:
    """A socket without a file, and its name: the kernel's choice, gone when it is closed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind("")
        ready.settimeout(0.5)
        yield ready, "@" + ready.getsockname()[1:].decode()


def _files(tls: Tls) -> tuple[Path, ...]:
    return (tls.ca, tls.certificate, tls.key)


def _place(address: str, port: int) -> str:
    return f"{in_url(address)}:{port}" if address else f"port {port}"


def _secret(path: Path, mode: int = 0o600) -> str:
    if not path.exists():
        replace_file(path, secrets.token_hex(20).encode())
        path.chmod(mode)
    return path.read_text().strip()
