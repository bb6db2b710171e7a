"""Timed schedules: half a minute after half a minute of faults, then everything heals.

While faults last no rule may break; after that all must agree on all that was accepted. Each
schedule is a function of its seed.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from nm_bus.messages import Seconds, VoterId
from nm_lab.simulate.federation import Link, SimulatedFederation
from nm_lab.simulate.monitor import RuleBrokenError
from nm_lab.simulate.variant import SOUND, Variant

TROUBLE: Seconds = 90.0
"""How long faults last."""

PATIENCE: Seconds = 900.0
"""How long after the healing everything must be agreed."""

WAN = (0.05, 0.8)
"""The delays of links, one way."""


class Schedule:
    """One run: some load, some faults, and the healing. `reseats`: the voters change, too."""

    reseats = True

    def __init__(
        self,
        seed: int,
        variant: Variant = SOUND,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.trace = trace
        self._random = random = Random(seed)
        everyone = [f"{chr(ord('a') + n)}#1" for n in range(random.choice((3, 4, 5, 5, 6)))]
        standbys = everyone[random.choice((3, 4, 5)) :]
        self._is_lossy = random.random() < 0.5
        self._slowest = random.choice(WAN)
        self._federation = SimulatedFederation(
            random,
            self._link,
            set(everyone) - set(standbys),
            standbys=standbys,
            snapshots=random.choice((0, 0, 2, 10)),
            variant=variant,
        )
        self._end = self._federation.clock.now() + TROUBLE

    @property
    def decided(self) -> int:
        """How many slots were decided."""
        return len(self._federation.monitor.chosen)

    def run(self) -> None:
        """Live through it. Raises RuleBrokenError."""
        federation = self._federation
        self._load()
        self._fault()
        federation.clock.advance(TROUBLE)
        self._heal()
        try:
            federation.clock.run(self._is_at_rest, PATIENCE)
        except TimeoutError:
            heights = {me: p.node.agreement.height for me, p in federation.places.items()}
            where = f"{len(federation.accepted)} accepted, heights {heights}"
            raise RuleBrokenError("healed means agreed", where) from None
        self._judge()
        self._tell("at rest")

    def _is_at_rest(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._federation.is_at_rest()

    def _judge(self) -> None:
        """Raise RuleBrokenError for what must not be so when all is over."""

    def _link(self) -> Link:
        random = self._random
        delay = self._slowest * random.uniform(0.2, 1.0)
        if not self._is_lossy:
            return Link(delay, jitter=delay * 0.2)
        loss, repeats = random.uniform(0, 0.3), random.uniform(0, 0.3)
        return Link(delay, jitter=2 * delay, is_lossy=True, loss=loss, repeats=repeats)

    # --- what is asked for

    def _load(self) -> None:
        """A change now and then, of the voters too, sometimes at two supernodes at once."""
        federation, random = self._federation, self._random
        if federation.clock.now() >= self._end:
            return
        federation.offer(random.choice(federation.everyone))
        if self.reseats and random.random() < 0.06:
            for me in random.sample(federation.everyone, 2):
                kind, key = random.choice(("vote", "follow")), random.choice(federation.everyone)
                self._tell(f"{me} is offered {kind} {key}")
                federation.offer(me, kind, key)
        federation.clock.later(random.expovariate(1.0), self._load)

    # --- what goes wrong

    def _fault(self) -> None:
        clock, random = self._federation.clock, self._random
        if clock.now() >= self._end:
            return
        fault = random.choice(self._faults())
        fault(random.uniform(0.5, 20.0))
        clock.later(random.uniform(1.0, 12.0), self._fault)

    def _faults(self) -> tuple[Callable[[Seconds], None], ...]:
        """What may go wrong."""
        return self._kill, self._isolate, self._split, self._power, self._one_way, self._jump

    def _kill(self, lasts: Seconds) -> None:
        me = self._random.choice(self._federation.everyone)
        self._tell(f"{me} dies for {lasts:.1f} s")
        self._federation.kill(me)
        self._federation.clock.later(lasts, partial(self._federation.revive, me))

    def _power(self, lasts: Seconds) -> None:
        self._tell(f"all die for about {lasts:.1f} s")
        for me in self._federation.everyone:
            self._federation.kill(me)
            returns = lasts * self._random.uniform(0.5, 1.0)
            self._federation.clock.later(returns, partial(self._federation.revive, me))

    def _isolate(self, lasts: Seconds) -> None:
        me = self._random.choice(self._federation.everyone)
        self._tell(f"{me} is cut off for {lasts:.1f} s")
        self._cut(lambda a, b: me in (a, b), lasts)

    def _split(self, lasts: Seconds) -> None:
        some = set(self._random.sample(self._federation.everyone, 2))
        self._tell(f"{sorted(some)} are cut from the others for {lasts:.1f} s")
        self._cut(lambda a, b: (a in some) is not (b in some), lasts)

    def _one_way(self, lasts: Seconds) -> None:
        ways = self._random.sample(sorted(self._federation.links), 2)
        self._tell(f"nothing goes {ways} for {lasts:.1f} s")
        self._cut(lambda a, b: (a, b) in ways, lasts)

    def _cut(self, which: Callable[[VoterId, VoterId], bool], lasts: Seconds) -> None:
        for sender, to in self._federation.links:
            if which(sender, to):
                self._federation.cut(sender, to)
                self._federation.clock.later(lasts, partial(self._federation.fix, sender, to))

    def _jump(self, lasts: Seconds) -> None:
        me = self._random.choice(self._federation.everyone)
        seconds = self._random.choice((-3600.0, -50.0, 50.0, 600.0))
        self._tell(f"the clock of {me} is off by {seconds:.0f} s for {lasts:.1f} s")
        self._federation.places[me].offset = seconds
        self._federation.clock.later(lasts, partial(self._set_right, me))

    def _set_right(self, me: VoterId) -> None:
        self._federation.places[me].offset = 0.0

    def _heal(self) -> None:
        self._tell("everything heals")
        for me in self._federation.everyone:
            self._set_right(me)
            self._federation.revive(me)
        for (sender, to), link in self._federation.links.items():
            link.loss = 0.0
            self._federation.fix(sender, to)

    def _tell(self, what: str) -> None:
        if self.trace is not None:
            passed = self._federation.clock.now() - (self._end - TROUBLE)
            self.trace(f"{passed:8.2f} s  {what}")
