"""`nm-bus supernode run`: the composition of one supernode."""

import random
import uuid
from contextlib import closing
from functools import partial
from pathlib import Path

from nm_agents.connecting import connect
from nm_agents.folder import own_folder
from nm_agents.inhand import InHand
from nm_agents.quarantine import Quarantine
from nm_agents.service import log_status, log_to_stderr, on_termination, served
from nm_agents.supernode.brokerwatch import BrokerWatch
from nm_agents.supernode.children import Children
from nm_agents.supernode.handover import hand_over
from nm_agents.supernode.keeping import Keeping
from nm_agents.supernode.ledger.checking import Judge, judge_of
from nm_agents.supernode.ledger.composing import ledger_of, serve
from nm_agents.supernode.ledger.driver import LedgerDriver
from nm_agents.supernode.ledger.sessions import sessions_of
from nm_agents.supernode.outbox import Outbox
from nm_agents.supernode.peers import Peers
from nm_agents.supernode.requests import Requests
from nm_agents.supernode.service import SupernodeService
from nm_agents.supernode.worker import Worker
from nm_broker.links import links_of
from nm_broker.management import ManagementApi
from nm_bus import __version__
from nm_bus.core.alerts import Alerts, key_of
from nm_bus.core.connections import Connections
from nm_bus.core.hearing import Hearing
from nm_bus.core.ledger.rules.members import how_it_left
from nm_bus.core.links import LinkAudit, limits_for
from nm_bus.core.pipe import Pipe
from nm_bus.core.view import View
from nm_bus.core.windows import Windows
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
                service.children.stop()


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
) -> SupernodeService:
    """Build a supernode from its settings; what it kept from its last life is taken up."""
    limits = timing(settings)
    view = View(settings.node, limits.supernode_limit)
    if ledger is not None:
        view.gone = lambda node: how_it_left(ledger.state, node)
    keeping = Keeping(store, view)
    keeping.load()
    windows = Windows()
    outbox = Outbox(transport, store, settings.node)
    alerts = Alerts(settings.node, {key_of(alert): alert for alert in outbox.load()})
    hearing = Hearing(settings.node, limits.link_limit)
    quarantine = Quarantine(transport, settings.node)
    incarnation, ears = uuid.uuid4().hex, Pipe(REPORTS, limits.canary_limit)
    sessions = sessions_of(ledger, transport, view, limits.statement)

    requests = Requests(
        settings=settings,
        transport=transport,
        view=view,
        windows=windows,
        active=lambda: list(alerts.active.values()),
        worker=worker,
        watch=watch,
        ledger=(
            serve(ledger, transport, settings.tls.ca, sessions, judge)
            if ledger and sessions
            else None
        ),
    )
    peers = Peers(
        origin=settings.node,
        incarnation=incarnation,
        transport=transport,
        view=view,
        windows=windows,
        hearing=hearing,
        ears=ears,
        alerts=alerts,
        outbox=outbox,
        requests=requests,
        quarantine=quarantine,
        ledger=ledger,
        sessions=sessions,
    )
    return SupernodeService(
        settings=settings,
        timing=limits,
        incarnation=incarnation,
        agent=f"nm-bus/{__version__}",
        transport=transport,
        view=view,
        hearing=hearing,
        ears=ears,
        alerts=alerts,
        outbox=outbox,
        peers=peers,
        requests=requests,
        quarantine=quarantine,
        connections=Connections(),
        audits={
            link: LinkAudit(limits_for(limits), random.random) for link in links_of(settings.peers)
        },
        children=Children(config, settings.limits.partitions, random.random),
        worker=worker,
        watch=watch,
        keep_view=keeping.save,
        in_hand=in_hand,
        ledger=ledger,
        sessions=sessions,
    )


def watch_of(settings: SupernodeSettings) -> BrokerWatch | None:
    """The way to the broker's management API, if there is one. Raises ConfigError."""
    if settings.management.password_file is None:
        return None
    return BrokerWatch(ManagementApi.described(settings.management), settings)
