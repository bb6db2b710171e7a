"""`nm-bus bench ledger`: how long supernodes take to agree, and members to hear of it.

Real brokers, links and supernodes; the members are simulated in one process. Links go by relays,
so that they can be made slow. What is measured in one phase shares the links and the moment: each
change comes after a raw round trip over the same links.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec

from nm_bus.client import Client
from nm_bus.core.ledger.voters import node_of
from nm_bus.errors import NmBusError, TimedOutError
from nm_bus.messages import NodeId, Seconds
from nm_bus.settings import AdministratorSettings, Timing, Tls, load, timing
from nm_lab.bench.agreeing import AgreementFigures, DelaySeries, Pause, Phase
from nm_lab.bench.echo import echo
from nm_lab.bench.ground import admit_impersonator, impersonator
from nm_lab.bench.listeners import InboxCrowd
from nm_lab.bench.listening import Ears, listening
from nm_lab.bench.proposals import ProposalLoad, Sustained
from nm_lab.federation.building import Federation, Plan
from nm_lab.federation.relay import Relays

PROJECT = "bench"
SETTLING: Seconds = 60.0
"""How long supernodes may take to be level and to agree."""

APPLIED: Seconds = 20.0
"""How long a change may take from agreed to the last member."""

PATIENCE: Seconds = 30.0
WINDOW = 64
"""How many proposals are under way at each supernode while many are asked for at once."""

LOOK: Seconds = 0.2
AROUND = 10
"""How many changes are put before a supernode dies, and at least after it."""

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: `changes` at each place of each phase, many at once for `seconds`, and
    `deaths` of the last author. Slow links take `delay` one way."""

    supernodes: int = 3
    members: int = 100
    changes: int = 100
    seconds: Seconds = 5.0
    delay: Seconds = 0.05
    deaths: int = 3


def ledger(folder: Path, wanted: Wanted, told: Told) -> AgreementFigures:
    """Build a federation, measure all phases, and end everything. Raises NmBusError."""
    nodes = tuple(f"sn{n + 1}.bench.example" for n in range(wanted.supernodes))
    with Relays() as relays:
        federation = Federation(Plan(folder, PROJECT, nodes, {}), told, relays)
        federation.build()
        try:
            federation.start_brokers()
            for node in nodes:
                admit_impersonator(federation.running[node].api, PROJECT, configure=".*")
                federation.start_supernode(node)
            own = load(federation.administrator, AdministratorSettings)
            with ExitStack() as stack:
                clients = {
                    node: stack.enter_context(Client(_only(own, node), timeout=PATIENCE))
                    for node in nodes
                }
                return Bench(federation, wanted, told, impersonator(folder), clients).run()
        finally:
            federation.stop()


@dataclass(slots=True)
class Bench:
    """The measurement of one federation that runs. `tls` is the bench's user's, and `clients` ask
    one supernode each."""

    federation: Federation
    wanted: Wanted
    told: Told
    tls: Tls
    clients: dict[NodeId, Client]

    def run(self) -> AgreementFigures:
        """All phases, one after the other."""
        self._settle()
        phases, pauses = [self._phase("links up", 0.0)], []
        dead = self._other()
        pauses.append(self._death("another one", dead))
        phases.append(self._phase("one supernode dead", 0.0))
        self._revive(dead)
        self._let_links_take(self.wanted.delay)
        name = f"links of {1000 * self.wanted.delay:g} ms"
        phases.append(self._phase(name, self.wanted.delay))
        self._let_links_take(0.0)
        for _ in range(self.wanted.deaths):
            author = self._author()
            pauses.append(self._death("the last author", author))
            self._revive(author)
        return AgreementFigures(self.wanted.supernodes, self.wanted.members, phases, pauses)

    # --- the federation

    @property
    def _living(self) -> list[NodeId]:
        nodes = self.federation.plan.supernodes
        return [node for node in nodes if self.federation.supernode(node).poll() is None]

    def _author(self) -> NodeId:
        """Who decided last, as the first supernode that lives knows it."""
        first = self._living[0]
        return node_of(self.clients[first].standing(first).author)

    def _other(self) -> NodeId:
        """The last supernode that lives and is not the last author."""
        author = self._author()
        return [node for node in self._living if node != author][-1]

    def _settle(self) -> None:
        """Wait until all that live are level, and a change is agreed at each of them."""
        deadline = time.monotonic() + SETTLING
        while missing := self._missing():
            if time.monotonic() > deadline:
                raise TimedOutError(f"after {SETTLING:g} s: {missing}")
            self.told(missing)
            time.sleep(LOOK)
        for node in self._living:
            self.clients[node].put("bench", "settled", node, timeout=SETTLING)

    def _missing(self) -> str:
        try:
            found = [self.clients[node].standing(node) for node in self._living]
        except NmBusError as error:
            return str(error)
        listening = [one.node for one in found if one.state != "running"]
        if listening:
            return f"{', '.join(listening)}: not running yet"
        if len({one.height for one in found}) > 1:
            return "the supernodes are not level yet"
        return ""

    def _revive(self, node: NodeId) -> None:
        self.federation.start_supernode(node)
        self._settle()

    def _let_links_take(self, delay: Seconds) -> None:
        for relay in self.federation.ways.values():
            relay.delay = delay

    # --- a phase

    def _phase(self, name: str, delay: Seconds) -> Phase:
        author, other = self._author(), self._other()
        series = [DelaySeries("the last author", author), DelaySeries("another one", other)]
        ends = [(node, self.federation.settings[node].broker) for node in (author, other)]
        with self._members() as ears, echo(PROJECT, ends[0], ends[1], self.tls) as round_trip:
            for n in range(self.wanted.changes):
                self.told(f"{name}: change {n + 1} of {self.wanted.changes}")
                for each in series:
                    each.raw.append(round_trip())
                    self._put(each, ears)
        self.told(f"{name}: many changes at once")
        return Phase(name, delay, series, self._rate())

    @contextmanager
    def _members(self) -> Iterator[Ears]:
        """Simulated members at the brokers of all supernodes that live."""
        living = self._living
        self._settle()
        standing = self.clients[living[0]].standing(living[0])
        brokers = tuple(self.federation.settings[node].broker for node in living)
        place = {"epoch": standing.epoch, "revision": standing.revision}
        crowd = InboxCrowd(PROJECT, brokers, _files(self.tls), self.wanted.members, **place)
        with listening(crowd) as ears:
            yield ears

    def _put(self, series: DelaySeries, ears: Ears) -> None:
        began = time.time()
        proposed = self.clients[series.node].put("bench", "document", f"since {began}")
        series.agreed.append(time.time() - began)
        series.applied.append(ears.when(APPLIED, revision=proposed.revision) - began)

    def _rate(self) -> float:
        """Changes agreed per second, with many under way at each supernode that lives."""
        own = load(self.federation.administrator, AdministratorSettings)
        wanted = ProposalLoad(
            self.federation.plan.administrator,
            _files(own.tls),
            tuple(str(self.federation.plan.folder / f"{node}.toml") for node in self._living),
            WINDOW,
            self.wanted.seconds,
        )
        ran = subprocess.run(
            [sys.executable, "-m", "nm_lab.bench.proposals", msgspec.json.encode(wanted)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=self.wanted.seconds + PATIENCE,
            check=True,
        )
        found = msgspec.json.decode(ran.stdout, type=Sustained)
        return found.agreed / self.wanted.seconds

    # --- a death

    def _death(self, who: str, node: NodeId) -> Pause:
        """Kill a supernode while changes are put at another one, one after the other."""
        self.told(f"kill -9 {who}, {node}")
        survivor = next(n for n in self._living if n not in (node, self._author()))
        times = timing(self.federation.settings[node])
        most = limit(times) if node == self._author() else times.agreement_delay
        client = self.clients[survivor]
        agreed: list[Seconds] = []
        for _ in range(AROUND):
            client.put("bench", "document", "before")
        died = time.monotonic()
        self.federation.supernode(node).kill()
        self.federation.supernode(node).wait()
        while len(agreed) < AROUND or time.monotonic() < died + most:
            client.put("bench", "document", "after", timeout=SETTLING)
            agreed.append(time.monotonic())
        pauses = [after - before for before, after in pairwise([died, *agreed])]
        return Pause(who, max(pauses), most)


def limit(times: Timing) -> Seconds:
    """How long the death of the last author may hold up the others at most."""
    return times.author_limit + 3 * times.agreement_delay


def _only(settings: AdministratorSettings, node: NodeId) -> AdministratorSettings:
    """Settings that know of one supernode."""
    peers = tuple(peer for peer in settings.supernodes if peer.node == node)
    return msgspec.structs.replace(settings, supernodes=peers)


def _files(tls: Tls) -> tuple[str, str, str]:
    return str(tls.ca), str(tls.certificate), str(tls.key)
