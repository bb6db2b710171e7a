"""The member agent: heartbeats, measurements, self-checks, files, answers and updates on one loop.

Each part knows its own work; here they are put together. What is decided is in `nm_bus.core.agent`.
"""

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from types import MappingProxyType

from nm_agents.host.sender import Sender
from nm_agents.member import hooks, plugins
from nm_agents.member.answers import AskAnswers, check_told
from nm_agents.member.beats import Beats
from nm_agents.member.checks import Checks, Start
from nm_agents.member.documents import KeptComponent
from nm_agents.member.dropin import DropIn, watch
from nm_agents.member.following import Following
from nm_agents.member.host import Host
from nm_agents.member.inbox import Inbox
from nm_agents.member.metricfile import MetricFile
from nm_agents.member.outbox import Durable, MetricsOutbox
from nm_agents.member.reports import Reports, StateFile
from nm_agents.service import log_status
from nm_bus import __version__
from nm_bus.core.agent import Agent, Measurement, fitting, printable
from nm_bus.core.nagios import PluginVerdict, series, shortened
from nm_bus.messages import (
    CheckStatus,
    Declared,
    Endpoint,
    Hello,
    Properties,
    Running,
    Seconds,
    domain_key,
)
from nm_bus.settings import MemberSettings, PropertiesSettings, timing
from nm_bus.storage.spool import Spool
from nm_bus.topology import METRICS
from nm_bus.transport.base import Flow, Status, Transport
from nm_bus.transport.reconnect import Pauses

LOGGER = logging.getLogger(__name__)

PROPERTIES_EVERY: Seconds = 600.0
GOODBYE: Seconds = 3.0
"""How long the broker may take to confirm the last heartbeat."""

SPOOL_CHECK = "agent.spool"
"""The check that tells of a disk that takes nothing; told once that has happened."""

LEDGER_CHECK = "agent.ledger"
"""The check that tells of documents that could not be made so; told once that has happened."""

HOST = "host"

METRICS_CHECK = "agent.metrics"
"""The check that reports what could not be measured; reported once that has happened."""

OWN_CHECKS = frozenset({SPOOL_CHECK, LEDGER_CHECK, METRICS_CHECK})

LONGEST_PAUSE: Seconds = 60.0

Measure = Callable[[], Measurement]


class Member:
    """One life of the agent on a transport. `measure` and `start` are the ways to this host."""

    def __init__(
        self,
        settings: MemberSettings,
        transport: Transport,
        spool: Spool,
        *,
        random: Callable[[], float],
        measure: Measure,
        start: Start,
        kept: tuple[KeptComponent, ...] = (),
        start_hook: hooks.StartHook = hooks.start,
    ) -> None:
        first = timing(settings).retry_first
        self._settings, self._transport, self._random = settings, transport, random
        self._measure_host = measure
        self._agent = Agent(
            settings.node,
            secrets.token_hex(8),
            settings.heartbeat.interval,
            f"nm-bus/{__version__}",
            transport.now(),
        )
        self._sender = sender = Sender(transport, settings.node, self._agent.incarnation)
        self._last: tuple[dict[str, float], Seconds] = ({}, 0.0)
        self._troubles: dict[str, dict[str, str]] = {}
        """What could not be measured or sent the last time, by what brought it."""
        self._leaving = False
        self._state = StateFile(settings.folder / "status.json")
        self._outbox = MetricsOutbox(spool, sender, Pauses(first, LONGEST_PAUSE, random))
        self._beats = Beats(self._agent, sender, self._outbox)
        self._checks = Checks(settings.checks, transport, start, self._checked)
        answers = AskAnswers(self._agent, self._checks, status=self._status, metrics=self._measured)
        self._reports = Reports(transport, self._send_running)
        self._following = Following(
            settings.folder / "following.json",
            kept,
            sender,
            partial(Pauses, random=random),
            news=self._followed,
            start_hook=start_hook,
        )
        self._inbox = Inbox(
            settings.node,
            sender,
            Pauses(first, LONGEST_PAUSE, random),
            hello=Hello(self._agent.version, self._following.feeds),
            asked=answers.asked,
            updated=self._following.took,
            spoken=self._following.welcomed,
        )
        self._drop_in: DropIn | None = None

    # --- its life

    def begin(self) -> None:
        """Plan everything that happens by itself; it happens while the transport runs."""
        settings, later = self._settings, self._transport.later
        self._transport.on_status(self._flow_changed)
        self._beats.begin(self._random())
        later(settings.metrics.interval, self._measure_each_interval)
        later(PROPERTIES_EVERY, self._properties_now_and_then)
        self._checks.begin(self._random())
        self._following.begin()
        self._reports.begin()
        self._write_state()

    def watch_folder(self) -> Callable[[], None]:
        """Take metric files from the drop-in folder, if there is one; gives the way to end it."""
        drop_in = self._settings.drop_in
        if drop_in is None:
            return _nothing
        taker = DropIn(drop_in.folder, drop_in.max_bytes, self._transport, self._found)
        self._drop_in = taker
        self._transport.later(0.0, taker.begin)
        return watch(drop_in.folder, partial(self._transport.call_threadsafe, taker.changed))

    def leave(self) -> None:
        """Say goodbye and stop. A second call, or a broker that is away, stops at once."""
        if self._leaving or self._transport.status.flow is not Flow.UP:
            return self._transport.stop()
        self._leaving = True
        self._transport.later(GOODBYE, self._transport.stop)
        return self._beats.goodbye(self._transport.stop)

    def close(self) -> None:
        """End what runs; what was not sent stays in the spool for the next start."""
        self._checks.stop()
        self._following.close()
        self._write_state(stopped=True)
        self._outbox.close()

    def _flow_changed(self, status: Status) -> None:
        """The broker came or went. What is fresh goes first: what waited begins a moment later."""
        log_status(status)
        if status.flow is Flow.UP:
            self._beats.go()
            self._send_properties()
            self._reports.now()
            self._measure()
        self._outbox.flow_changed(status.flow)
        self._inbox.flow_changed(status.flow)
        self._following.flow_changed(status.flow)
        self._write_state()

    # --- measurements and properties

    def _measure_each_interval(self) -> None:
        self._transport.later(self._settings.metrics.interval, self._measure_each_interval)
        self._measure()
        self._write_state()

    def _measure(self) -> None:
        host = self._measure_host()
        values = host.values | {"agent.spool.bytes": float(self._outbox.bytes)}
        self._last = values, self._transport.now()
        self._offer(HOST, values, self._last[1], troubles=host.troubles)

    def _found(self, file: MetricFile, measured: Seconds, durable: Durable) -> None:
        self._offer("drop_in", file.values, measured, file.declarations(), durable)

    def _offer(
        self,
        source: str,
        values: dict[str, float],
        measured: Seconds,
        declared: tuple[Declared, ...] = (),
        durable: Durable | None = None,
        *,
        troubles: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        fit = fitting(values)
        if fit.values:
            self._outbox.offer(self._agent.metrics(fit.values, declared), measured, durable)
        self._own_check(SPOOL_CHECK, self._outbox.trouble)
        self._troubles[source] = {**troubles, **fit.troubles}
        every = {key: why for each in self._troubles.values() for key, why in each.items()}
        self._own_check(METRICS_CHECK, _first(every))

    def _own_check(self, name: str, trouble: str) -> None:
        if trouble or name in self._agent.checks:
            status = CheckStatus.WARNING if trouble else CheckStatus.OK
            self._news(name, PluginVerdict(status, shortened(trouble)))

    def _properties_now_and_then(self) -> None:
        self._transport.later(PROPERTIES_EVERY, self._properties_now_and_then)
        self._send_properties()

    def _send_properties(self) -> None:
        if self._transport.status.flow is Flow.UP:
            self._publish(properties(self._settings.properties, self._agent.incarnation))

    def _followed(self, matters: bool) -> None:
        self._reports.news(matters)
        if not matters:
            return
        self._own_check(LEDGER_CHECK, _first(self._following.troubles))

    def _send_running(self) -> None:
        if self._transport.status.flow is Flow.UP:
            self._publish(self._following.running(self._agent.incarnation))
        self._write_state()

    # --- self-checks

    def _checked(self, name: str, verdict: PluginVerdict) -> None:
        self._news(name, verdict)
        values, declared = series(name, verdict.values)
        left_out = {f"{name}: {printable(word)}": "is no value" for word in verdict.left_out}
        if values or left_out or name in self._troubles:
            self._offer(name, values, self._transport.now(), declared, troubles=left_out)

    def _news(self, name: str, verdict: PluginVerdict) -> None:
        """A check that changed its status is told at once."""
        if self._agent.checked(name, verdict, self._transport.now()):
            LOGGER.info("check %s is %s: %s", name, verdict.status, verdict.output)
            self._beats.news()
            self._write_state()

    # --- what it tells of itself

    def _measured(self) -> dict[str, object]:
        """The last measurement with its age; percentages of CPU need a while between two."""
        if not self._last[0]:
            self._measure()
        values, measured = self._last
        return {"age": self._transport.now() - measured, "values": values}

    def _status(self) -> dict[str, object]:
        status, now = self._transport.status, self._transport.now()
        return {
            "node": self._settings.node,
            "project": self._settings.project,
            "agent": self._agent.version,
            "pid": os.getpid(),
            "incarnation": self._agent.incarnation,
            "uptime": now - self._agent.started,
            "supernode": self._inbox.supernode,
            "broker": {"flow": status.flow, "reason": status.reason, "since": status.since},
            "heartbeat_confirmed": self._beats.confirmed,
            "measured": self._agent.measured,
            "spool": {
                "waiting": self._outbox.waiting,
                "bytes": self._outbox.bytes,
                "dropped": self._outbox.dropped,
                "trouble": self._outbox.trouble,
            },
            "ledger": self._following.status(),
            "quarantined": self._drop_in.quarantined if self._drop_in else 0,
            "ignored": self._inbox.ignored,
            "checks": [check_told(check) for check in self._agent.checks.values()],
        }

    def _write_state(self, *, stopped: bool = False) -> None:
        written = {"written": self._transport.now(), "running": not stopped}
        self._state.write(written | self._status())

    def _publish(self, message: Properties | Running) -> None:
        self._sender.publish(METRICS, domain_key(self._settings.node), message)


def properties(settings: PropertiesSettings, incarnation: str) -> Properties:
    """What the node says of itself, from its settings."""
    return Properties(
        incarnation=incarnation,
        organisation=settings.organisation,
        description=settings.description,
        latitude=settings.latitude,
        longitude=settings.longitude,
        city=settings.city,
        country=settings.country,
        endpoints=tuple(Endpoint(e.name, e.url, e.kind) for e in settings.endpoints),
        software=settings.software,
    )


def compose(
    settings: MemberSettings,
    transport: Transport,
    random: Callable[[], float],
    kept: tuple[KeptComponent, ...] = (),
) -> Member:
    """Build the agent of this host on a transport, with its spool in the settings' folder."""
    limits = settings.spool
    spool = Spool.open(settings.folder / "spool.sqlite", limits.max_bytes, limits.max_age)
    return Member(
        settings,
        transport,
        spool,
        random=random,
        measure=Host(settings.metrics.mounts).measure,
        start=plugins.start,
        kept=kept,
    )


def serve(member: Member, transport: Transport) -> None:
    """Run an agent until it is told to leave; nothing it started is left behind."""
    with ExitStack() as ends:
        ends.callback(member.close)
        member.begin()
        ends.callback(member.watch_folder())
        transport.run()


def _first(troubles: Mapping[str, str]) -> str:
    """One of some troubles, and how many there are beside it; empty when there is none."""
    first = next((f"{key}: {why}" for key, why in sorted(troubles.items())), "")
    return first + (f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else "")


def _nothing() -> None:
    """Nothing was begun, so nothing is to end."""
