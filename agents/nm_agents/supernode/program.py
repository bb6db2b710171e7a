"""`nm-bus supernode run`: the composition of one supernode."""

import random
import uuid
from contextlib import closing
from functools import partial
from pathlib import Path

from nm_agents.connecting import connect
from nm_agents.folder import own_folder
from nm_agents.host.inbound import Inbound
from nm_agents.host.sender import Sender
from nm_agents.inhand import InHand
from nm_agents.quarantine import Quarantine
from nm_agents.service import log_status, log_to_stderr, on_termination, served
from nm_agents.supernode.alerts.outbox import Outbox
from nm_agents.supernode.alerts.part import AlertsPart
from nm_agents.supernode.asks import AsksPart
from nm_agents.supernode.broker.calls import BrokerCalls
from nm_agents.supernode.broker.connections import ConnectionsPart, RefusalsPart
from nm_agents.supernode.broker.part import BrokerPart
from nm_agents.supernode.broker.watch import BrokerWatch
from nm_agents.supernode.broker.worker import Worker
from nm_agents.supernode.hello import HelloPart
from nm_agents.supernode.host import SupernodeHost, merged
from nm_agents.supernode.ingest.children import Children
from nm_agents.supernode.ingest.handover import hand_over
from nm_agents.supernode.ingest.part import IngestPart
from nm_agents.supernode.ledger.checking import Judge, judge_of
from nm_agents.supernode.ledger.composing import ledger_of, serve
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.part import LedgerPart, Serving
from nm_agents.supernode.ledger.sessions import sessions_of
from nm_agents.supernode.links.part import LinksPart
from nm_agents.supernode.part import Part
from nm_agents.supernode.requests import QueriesPart, RequestChannel
from nm_agents.supernode.tails import TailsPart
from nm_agents.supernode.view.part import LoopbackPart, StatementPart, ViewPart, ViewStore
from nm_broker.management import ManagementApi
from nm_bus.core.ledger.applying import Applied
from nm_bus.core.ledger.rules.members import how_it_left
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View
from nm_bus.errors import ConfigError
from nm_bus.grants import link_user
from nm_bus.identity.certificates import check_certificate
from nm_bus.settings import SupernodeSettings, load, timing
from nm_bus.storage.base import Store
from nm_bus.storage.sqlite import open_store
from nm_bus.topology import REPORTS
from nm_bus.transport.base import Transport


def run(config: Path) -> int:
    """Serve as a supernode until told to stop."""
    log_to_stderr()
    return served(partial(_serve, config))


def _serve(config: Path) -> None:
    settings = load(config, SupernodeSettings)
    check_settings(settings, config)
    watch = watch_of(settings)
    with (
        own_folder(settings.folder),
        closing(open_store(settings.folder / "supernode.db")) as store,
    ):
        hand_over(settings.folder, settings.limits.partitions, store)
        name = f"supernode of {settings.node}"
        transport = connect(settings, name, settings.broker, separate=True)
        worker = Worker(transport)
        with (
            closing(worker),
            ledger_of(settings, transport) as ledger,
            judge_of(transport) as judge,
            InHand(settings.folder / "supernode.inhand") as in_hand,
        ):
            service = compose(
                settings,
                config,
                transport,
                store,
                worker=worker,
                watch=watch,
                judge=judge,
                ledger=ledger,
                in_hand=in_hand,
            )
            transport.on_status(log_status)
            on_termination(transport, service.stop)
            service.start()
            try:
                transport.run()
            finally:
                service.part(IngestPart).close()


def check_settings(settings: SupernodeSettings, config: Path) -> None:
    """Raise ConfigError for certificates that will not do, and peers that cannot be."""
    check_certificate(settings.tls, settings.node)
    if settings.link_tls is not None:
        check_certificate(settings.link_tls, link_user(settings.node), "link_tls")
    elif settings.peers:
        raise ConfigError(config, "link_tls is missing, and links to peers need it")
    names = [settings.node, *(peer.node for peer in settings.peers)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(config, f"peers: {twice[0]} is named twice, or is this node itself")


def compose(
    settings: SupernodeSettings,
    config: Path,
    transport: Transport,
    store: Store,
    *,
    worker: Worker,
    watch: BrokerWatch | None,
    judge: Judge,
    ledger: LedgerDriver | None = None,
    in_hand: InHand | None = None,
) -> SupernodeHost:
    """Build a supernode from its settings; what it kept from its last life is taken up."""
    limits, node = timing(settings), settings.node
    sender = Sender(transport, node, uuid.uuid4().hex)
    calls, quarantine = BrokerCalls(worker, watch), Quarantine(transport, node)
    inbound = Inbound(transport, quarantine.put, in_hand)
    view, loopback = View(node, limits.supernode_limit), Pipe(REPORTS, limits.canary_limit)

    of_ledger = LedgerPart(settings, serving(ledger, settings, transport, view, judge))
    alerts = AlertsPart(settings, transport, Outbox(transport, store, node), view, calls)
    keeping = ViewStore(store, view)
    keeping.load()
    known = ViewPart(settings, transport, keeping, loopback, of_ledger, alerts)
    links = LinksPart(settings, transport, sender, known, calls)
    broker, tails = BrokerPart(node, transport, calls), TailsPart(settings, transport)
    parts: list[Part] = [
        known,
        ConnectionsPart(transport, sender, inbound, view, calls),
        RefusalsPart(view, quarantine),
        alerts,
        StatementPart(settings, transport, sender, view, alerts.parts),
        LoopbackPart(transport, sender, loopback, limits.canary),
        links,
        broker,
        of_ledger,
        IngestPart(transport, calls, Children(config, settings.limits.partitions, random.random)),
        HelloPart(settings, transport, of_ledger),
        tails,
        AsksPart(transport, sender, view),
    ]
    # every part is here: one that is added later reports no alert and is not described
    alerts.parts.extend(parts)
    parts.append(QueriesPart(transport, merged(part.queries() for part in parts)))
    handlers = merged(part.requests() for part in parts)
    others = merged(part.from_principals() for part in parts)
    requests = RequestChannel(transport, sender, handlers, others)
    host = SupernodeHost(settings, transport, inbound, view, requests, tuple(parts))
    broker.on_look += [links.looked, tails.looked, requests.looked]
    broker.on_first = host.answer
    return host


def serving(
    driver: LedgerDriver | None,
    settings: SupernodeSettings,
    transport: Transport,
    view: View,
    judge: Judge,
) -> Serving | None:
    """What the other parts need of a ledger; None where there is none."""
    if driver is None:
        return None
    view.gone = lambda node: how_it_left(driver.state, node)
    driver.on_applied(partial(_concern, view))
    driver.on_installed(view.concerns_all)
    sessions = sessions_of(driver, transport, view, timing(settings).statement)
    return Serving(driver, serve(driver, transport, settings.tls.ca, sessions, judge), sessions)


def _concern(view: View, applied: list[Applied]) -> None:
    """Say to the view which members' entries in the ledger are others now."""
    for key in (key for each in applied for key in each.entries):
        family, _, node = key.partition("/")
        if family == "member":
            view.concerns(node)


def watch_of(settings: SupernodeSettings) -> BrokerWatch | None:
    """The way to the broker's management API, if there is one. Raises ConfigError."""
    if settings.management.password_file is None:
        return None
    return BrokerWatch(ManagementApi.described(settings.management), settings)
