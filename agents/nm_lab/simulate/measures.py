"""How long agreeing takes, in virtual time: five supernodes with links of 50 to 800 ms one way."""

from functools import partial
from itertools import pairwise
from random import Random

from nm_bus.messages import Seconds, VoterId
from nm_lab.simulate.federation import Link, SimulatedFederation

WAN: tuple[Seconds, Seconds] = (0.05, 0.8)
FIVE = [f"{name}#1" for name in "abcde"]
SETTLED: Seconds = 20.0
PATIENCE: Seconds = 300.0


def wide_area(seed: int) -> SimulatedFederation:
    """A federation that has agreed once, and is at rest."""
    random = Random(seed)
    federation = SimulatedFederation(random, lambda: Link(random.uniform(*WAN)), FIVE)
    federation.offer(FIVE[0])
    federation.clock.advance(SETTLED)
    return federation


def last_author(federation: SimulatedFederation) -> VoterId:
    """Whose batch was decided last, as the first one that lives knows it."""
    alive = (place for place in federation.places.values() if place.is_alive)
    return next(alive).node.agreement.author


def alive(federation: SimulatedFederation) -> list[VoterId]:
    """Who lives."""
    return [me for me, place in federation.places.items() if place.is_alive]


def latency(federation: SimulatedFederation, me: VoterId) -> Seconds:
    """From offering a change until the supernode that took it has it agreed, with no other load."""
    began, change = federation.clock.now(), federation.offer(me)
    federation.clock.run(lambda: change in federation.agreed, PATIENCE)
    took = federation.clock.now() - began
    federation.clock.advance(federation.random.uniform(3.0, 6.0))
    return took


def idle_rate(federation: SimulatedFederation, seconds: Seconds = 60.0) -> float:
    """Messages a second while nothing happens."""
    before = federation.messages
    federation.clock.advance(seconds)
    return (federation.messages - before) / seconds


def load(federation: SimulatedFederation, each: float, seconds: Seconds) -> list[Seconds]:
    """So many changes a second at every supernode: how long each took."""
    before = set(federation.accepted)
    _begin_load(federation, each, seconds)
    federation.clock.advance(seconds + SETTLED)
    accepted = federation.accepted
    return [federation.agreed[id] - accepted[id] for id in accepted.keys() - before]


def pause_when_the_author_dies(federation: SimulatedFederation) -> Seconds:
    """The longest time without anything agreed anywhere, at two changes a second everywhere."""
    _begin_load(federation, 2.0, 2 * SETTLED)
    federation.clock.advance(SETTLED)
    died = federation.clock.now()
    federation.kill(last_author(federation))
    federation.clock.advance(SETTLED)
    moments = [died, *sorted(moment for moment in federation.agreed.values() if moment > died)]
    return max(later - earlier for earlier, later in pairwise(moments))


def _begin_load(federation: SimulatedFederation, each: float, seconds: Seconds) -> None:
    end = federation.clock.now() + seconds
    for me in federation.everyone:
        _ask(federation, me, each, end)


def _ask(federation: SimulatedFederation, me: VoterId, each: float, end: Seconds) -> None:
    if federation.clock.now() < end:
        federation.offer(me)
        delay = federation.random.expovariate(each)
        federation.clock.later(delay, partial(_ask, federation, me, each, end))
