"""What the transport to RabbitMQ promises beyond the conformance suite: errors, ends, no leaks."""

import gc
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pika
import pytest

from nm_broker.pki import Authority
from nm_broker.testing.sandbox import Sandbox
from nm_bus.errors import ConfigError
from nm_bus.grants import Grant, grant
from nm_bus.identity.role import Role
from nm_bus.settings import LOCAL, Broker, Tls
from nm_bus.topology import Queue, Topology
from nm_bus.transport.base import Delivery, Flow, Outcome, Outgoing, Status
from nm_bus.transport.pika import PikaTransport

USER, OTHER = "sn9.example.org", "sn6.example.org"
PATIENCE, MANY_TIMES = 30.0, 240.0
"""Seconds in which something comes about on the slowest machine: once, or a thousand times."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("pki")
    return Authority.create(folder).issue(USER, folder)


def transport(tls: Tls, **changed: Any) -> PikaTransport:
    settings: dict[str, Any] = {
        "brokers": [Broker("localhost", 9)],
        "vhost": "nm.test",
        "user": USER,
        "tls": tls,
        "timing": msgspec.structs.replace(LOCAL, retry_first=0.001, retry_most=0.002),
        "name": "test",
        "random": random.Random(1).random,
    }
    return PikaTransport(**{**settings, **changed})


def place(sandbox: Sandbox) -> Broker:
    where = sandbox.address
    return Broker(where.host, where.port, where.address)


def at(sandbox: Sandbox, tls: Tls, **changed: Any) -> PikaTransport:
    where = sandbox.address
    place = Broker(where.host, where.port, where.address)
    return transport(
        tls, **{"brokers": [place], "vhost": sandbox.vhost, "timing": LOCAL, **changed}
    )


def ended_by(subject: PikaTransport, limit: float = PATIENCE) -> str:
    """Run until ConfigError and give its sentence."""
    subject.later(limit, subject.stop)
    with pytest.raises(ConfigError) as raised:
        subject.run()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@contextmanager
def running(subject: PikaTransport) -> Iterator[None]:
    thread = threading.Thread(target=subject.run)
    thread.start()
    try:
        yield
    finally:
        subject.call_threadsafe(subject.stop)
        thread.join(PATIENCE)
    assert not thread.is_alive()


def until(condition: Callable[[], bool], limit: float = PATIENCE) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Slammer:
    """A server that takes each connection and closes it at once."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.slammed = 0
        self.most_files = 0
        self._thread = threading.Thread(target=self._slam)

    def _slam(self) -> None:
        while True:
            taken, _ = self._socket.accept()
            taken.close()
            if self.slammed < 0:
                return
            self.slammed += 1
            self.most_files = max(self.most_files, open_files())

    def __enter__(self) -> "Slammer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.slammed = -1
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(PATIENCE)
        self._socket.close()


@contextmanager
def leaving_nothing_behind() -> Iterator[None]:
    """What is opened within is closed afterwards: files, threads, connections."""
    gc.collect()
    files, threads = open_files(), threading.active_count()
    yield
    gc.collect()
    until(lambda: threading.active_count() <= threads)
    until(lambda: open_files() <= files)
    assert not [each for each in gc.get_objects() if isinstance(each, pika.SelectConnection)]


@pytest.mark.parametrize("separate", [False, True])
def test_a_thousand_reconnections_leave_nothing_behind(tls: Tls, separate: bool) -> None:
    with leaving_nothing_behind():
        be_slammed(tls, separate)


def be_slammed(tls: Tls, separate: bool) -> None:
    files = open_files()
    with Slammer() as slammer:
        subject = transport(tls, brokers=[Broker("localhost", slammer.port)], separate=separate)
        with running(subject):
            until(lambda: slammer.slammed >= 1_000, MANY_TIMES)
            assert subject.status.flow is Flow.DOWN
            assert subject.status.reason.startswith(f"localhost:{slammer.port}")
    assert slammer.most_files < files + 20


@pytest.mark.broker
def test_fifty_lost_connections_leave_nothing_behind(broker: Sandbox) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    with leaving_nothing_behind():
        be_cut_off(broker, tls)


def lost_often(seen: list[Status], times: int) -> bool:
    return sum(status.flow is Flow.DOWN for status in seen) >= times


def be_cut_off(broker: Sandbox, tls: Tls) -> None:
    files = open_files()
    quick = msgspec.structs.replace(LOCAL, retry_first=0.01)
    subject = at(broker, tls, timing=quick, separate=True)
    seen: list[Status] = []
    subject.on_status(seen.append)
    subject.consume("nowhere", lambda _: None)
    with running(subject):
        for losses in range(1, 51):
            until(lambda: subject.status.flow is Flow.UP)
            broker.broker.api.close_connections(USER, "closed by a test")
            until(partial(lost_often, seen, losses))
        until(lambda: subject.status.flow is Flow.UP)
        assert open_files() < files + 20


def test_a_port_where_nobody_listens_is_tried_again_and_said(tls: Tls) -> None:
    subject = transport(tls)
    with running(subject):
        until(lambda: subject.status.flow is Flow.DOWN)
        assert subject.status.reason == "localhost:9 refuses connections"


def test_an_unknown_host_is_tried_again_and_said(tls: Tls) -> None:
    subject = transport(tls, brokers=[Broker("nowhere.invalid", 9)])
    with running(subject):
        until(lambda: subject.status.flow is Flow.DOWN)
        assert subject.status.reason == "nowhere.invalid:9: the host name is not known"


def test_a_missing_certificate_is_said_before_anything_is_begun(tls: Tls, tmp_path: Path) -> None:
    files = open_files()
    missing = msgspec.structs.replace(tls, certificate=tmp_path / "gone.crt")
    assert "gone.crt: the file is not there" in ended_by(transport(missing))
    assert open_files() <= files


def test_a_key_of_another_certificate_is_said(tls: Tls, tmp_path: Path) -> None:
    other = Authority.create(tmp_path).issue(USER, tmp_path)
    said = ended_by(transport(msgspec.structs.replace(tls, key=other.key)))
    assert f"is not the key of {tls.certificate}" in said


def test_a_certificate_that_is_none_is_said(tls: Tls, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("this is no certificate")
    assert "no certificate in PEM form" in ended_by(
        transport(msgspec.structs.replace(tls, ca=nonsense))
    )
    assert "not in plain PEM form" in ended_by(
        transport(msgspec.structs.replace(tls, certificate=nonsense))
    )


def test_a_failing_callback_ends_the_program_and_is_not_taken_for_a_lost_connection(
    tls: Tls,
) -> None:
    subject = transport(tls)

    def fail(_status: Status) -> None:
        raise KeyError("a mistake")

    subject.on_status(fail)
    with pytest.raises(KeyError, match="a mistake"):
        subject.run()


def test_a_signal_ends_it_at_once(tls: Tls) -> None:
    subject = transport(tls, timing=LOCAL)
    before = signal.signal(signal.SIGTERM, lambda *_: subject.call_threadsafe(subject.stop))
    subject.later(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    started = time.monotonic()
    subject.run()
    signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - started < 5


def test_stop_before_run_ends_it(tls: Tls) -> None:
    subject = transport(tls)
    subject.call_threadsafe(subject.stop)
    subject.run()
    assert subject.status.flow is Flow.DOWN


@pytest.mark.broker
def test_what_a_broker_refuses_for_good_ends_a_program_that_never_was_connected(
    broker: Sandbox, tmp_path: Path
) -> None:
    own = broker.grant(Role.MEMBER, USER)
    stranger = Authority.create(tmp_path).issue(USER, tmp_path)
    expired = broker.authority.issue(
        USER, tmp_path, starts=datetime(2020, 1, 1, tzinfo=UTC), life=timedelta(days=1)
    )
    unknown = broker.issue("who.example.org")
    here = place(broker)
    said = {
        "refuses the user who.example.org": at(broker, unknown, user="who.example.org"),
        "serves no project none": at(broker, own, vhost="nm.none"),
        "not accepted: self-signed": at(broker, stranger),
        "refuses our certificate": at(broker, Tls(own.ca, stranger.certificate, stranger.key)),
        "unknown authority, expired or revoked": at(broker, expired),
        "Hostname mismatch": at(broker, own, brokers=[msgspec.structs.replace(here, host=OTHER)]),
    }
    for text, subject in said.items():
        assert text in ended_by(subject)


@pytest.mark.broker
def test_a_program_that_was_connected_outlasts_being_refused(broker: Sandbox) -> None:
    subject = at(broker, broker.grant(Role.MEMBER, USER))
    with running(subject):
        until(lambda: subject.status.flow is Flow.UP)
        broker.broker.api.delete_user(USER)
        until(lambda: f"refuses the user {USER}" in subject.status.reason)
        broker.broker.api.apply(grant(Role.MEMBER, USER), broker.vhost)
        until(lambda: subject.status.flow is Flow.UP)


@pytest.mark.broker
def test_the_next_broker_is_tried_when_the_first_does_not_answer(broker: Sandbox) -> None:
    tls = broker.grant(Role.MEMBER, USER)
    subject = at(broker, tls, brokers=[Broker("localhost", 9), place(broker)])
    with running(subject):
        until(lambda: subject.status.flow is Flow.UP)


@pytest.mark.broker
def test_it_can_be_pointed_to_another_broker_while_it_runs(broker: Sandbox) -> None:
    subject = at(broker, broker.grant(Role.MEMBER, USER))
    with Slammer() as slammer, running(subject):
        until(lambda: subject.status.flow is Flow.UP)
        nowhere = [Broker("localhost", slammer.port)]
        subject.call_threadsafe(partial(subject.point, nowhere))
        until(lambda: subject.status.reason.startswith(f"localhost:{slammer.port}"))
        subject.call_threadsafe(partial(subject.point, [place(broker)]))
        until(lambda: subject.status.flow is Flow.UP)


@pytest.mark.broker
def test_stop_does_not_wait_for_ever_for_a_broker_that_does_not_answer(broker: Sandbox) -> None:
    tls = broker.grant(Role.SUPERNODE, USER)
    with leaving_nothing_behind():
        stop_while_paused(broker, tls)


def stop_while_paused(broker: Sandbox, tls: Tls) -> None:
    subject = at(broker, tls, separate=True)
    told: list[Outcome] = []
    with running(subject):
        until(lambda: subject.status.flow is Flow.UP)
        broker.broker.pause()
        lost = Outgoing("amq.topic", "k", b"x")
        subject.call_threadsafe(lambda: subject.publish(lost, told.append))
        started = time.monotonic()
    assert time.monotonic() - started < 20
    assert len(told) == 1
    assert told[0] in (Outcome.LOST, Outcome.TIMED_OUT)
    broker.revive()


@pytest.mark.broker
@pytest.mark.parametrize("separate", [False, True])
def test_what_is_read_first_can_be_answered_at_once(broker: Sandbox, separate: bool) -> None:
    queue = "waiting"
    broker.declare(Topology(queues=(Queue(queue), Queue("answers"))))
    user = broker.grant(Role.SUPERNODE, USER)
    broker.broker.api.apply(Grant(USER, ".*", ".*", ".*"), broker.vhost)
    for _ in range(10):
        outcomes: list[Outcome] = []
        subject = at(broker, user, separate=separate)

        def answer(delivery: Delivery, subject: PikaTransport = subject) -> None:
            subject.publish(Outgoing("", "answers", b"here"), outcomes.append)  # noqa: B023
            subject.ack(delivery)

        with pika.BlockingConnection(broker.parameters(user)) as asker:
            asker.channel().basic_publish("", queue, b"anybody?")
        subject.consume(queue, answer)
        with running(subject):
            until(lambda: bool(outcomes))  # noqa: B023
        assert outcomes == [Outcome.CONFIRMED]
