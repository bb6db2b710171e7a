"""What a supernode answers: that it does, what its clock says, and how it and its links are."""

from collections.abc import Callable, Iterator

from nm_agents.cli.doctor.finding import Finding, fail, ok, share_of, warn
from nm_agents.cli.doctor.ledger import examine_ledger
from nm_agents.cli.screen.figures import plural, size, span
from nm_bus.client import Client
from nm_bus.client.federation.picture import HEALTHY, Picture, links_by_cause
from nm_bus.errors import ConnectionLostError, NmBusError, RefusedError, TimedOutError
from nm_bus.messages import BrokerState, Health, LinkState, NodeId, Seconds, SupernodeView

CLOCK_WARN, CLOCK_FAIL = 2.0, 60.0
"""Seconds between two clocks: beyond the first, times that are compared look odd; beyond the
second, certificates and what is measured begin to fail."""

BACKLOG = 1_000
"""Messages that wait in a queue which is read all the time."""

SETTINGS = "see `project` in the settings, and whom the certificate names"
PROCESS = "see that `nm-bus supernode run` runs there, and its log"

Clock = Callable[[], Seconds]


def examine_answers(
    client: Client, supernode: NodeId, clock: Clock, login: str
) -> Iterator[Finding]:
    """Log in, ask for the time, compare. `login` says how this one is admitted."""
    before = clock()
    try:
        there = client.clock()
    except NmBusError as error:
        yield fail("login", error, _fix(error, login))
        return
    yield ok("login", f"{supernode} accepts the login and answers")
    if there is not None:
        yield clock_difference(there - (before + clock()) / 2, supernode)


def _fix(error: NmBusError, login: str) -> str:
    if isinstance(error, RefusedError):
        return login if "not admitted" in str(error) else SETTINGS
    return PROCESS if isinstance(error, TimedOutError) else "see the findings above"


def clock_difference(seconds: Seconds, supernode: NodeId) -> Finding:
    """How far this host's clock is from a supernode's."""
    text = (
        f"this clock is {span(abs(seconds))} {'behind' if seconds > 0 else 'ahead of'} {supernode}"
    )
    fix = "let NTP (chrony, systemd-timesyncd) set both clocks"
    if abs(seconds) > CLOCK_FAIL:
        return fail("clock", text, fix)
    return warn("clock", text, fix) if abs(seconds) > CLOCK_WARN else ok("clock", text)


def examine_federation(client: Client) -> Iterator[Finding]:
    """What the answering supernode says of all supernodes, links and the ledger."""
    try:
        picture = client.status()
    except (RefusedError, TimedOutError, ConnectionLostError) as error:
        yield fail("status", error, PROCESS)
        return
    yield from judge(picture)
    yield from examine_ledger(client, picture)


def judge(picture: Picture) -> Iterator[Finding]:
    """Findings on the supernodes, their brokers and their links."""
    for view in picture.supernodes:
        yield from _supernode(view)
    causes, links = links_by_cause(picture)
    for node, count in causes.items():
        yield warn(
            "links",
            f"{plural(count, 'link')} of {node} bring nothing, since it does not answer",
            PROCESS,
        )
    troubled = [link for link in links if link.state not in HEALTHY]
    yield from map(_link, troubled)
    if picture.links and not troubled and not causes:
        yield ok("links", f"all of {plural(len(picture.links), 'link')} move")


def _supernode(view: SupernodeView) -> Iterator[Finding]:
    if view.health is not Health.ALIVE or view.state is None:
        yield warn("supernode", f"{view.node} is {view.health}: {view.reason}", PROCESS)
        return
    yield from broker_findings(view.node, view.state.broker)
    for pipe in view.pipes:
        if not pipe.proven:
            text = f"{view.node}: silence in {pipe.path} proves nothing: {pipe.reason}"
            yield warn("pipe", text, "its members are `unknown` until it is on time again")


def broker_findings(node: NodeId, broker: BrokerState) -> Iterator[Finding]:
    """A broker by its supernode's word."""
    about = "broker"
    if broker.state in HEALTHY:
        yield ok(about, f"{node}: RabbitMQ {broker.version} is {broker.state}")
    else:
        text = f"{node}: {broker.state}: {broker.reason}"
        yield fail(about, text, "free memory or disk on that host, or start its broker")
    if broker.memory_limit:
        text = f"{node}: memory {size(broker.memory)} of {size(broker.memory_limit)}"
        share = broker.memory / broker.memory_limit
        yield share_of("memory", text, share, "raise vm_memory_high_watermark")
    if broker.quarantined:
        text = f"{node}: {plural(broker.quarantined, 'refused message')}"
        yield warn("quarantine", text, "`nm-bus dead list` on its host shows who sent them and why")
    if broker.dropped:
        text = f"{node}: {plural(broker.dropped, 'refused message')} could not be kept"
        yield warn("quarantine", text, "the supernode's log there has who sent them and why")
    for queue, waiting in sorted(broker.queues.items()):
        if waiting > BACKLOG and queue != "dead":
            yield backlog(node, queue, waiting)


def backlog(node: NodeId, queue: str, waiting: int) -> Finding:
    """A queue that is not read as fast as it fills."""
    fix = "see that what reads it runs; more ingest processes: limits.partitions"
    return warn("queue", f"{node}: {waiting:,} messages wait in {queue}", fix)


def _link(link: LinkState) -> Finding:
    text = f"{link.source} to {link.destination}, {link.kind}: {link.state}: {link.reason}"
    return warn("links", text, "run doctor with the source's settings, on its host")
