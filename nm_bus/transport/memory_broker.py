"""`MemoryBroker`: a broker in memory that routes, refuses and forgets as RabbitMQ does.

It has one vhost, no files and no threads; its time is the clock that it is given. Tests and
simulations run on it; the conformance suite holds it and RabbitMQ to the same promises.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count
from typing import Any, Protocol, TypeVar

from nm_bus.grants import Grant
from nm_bus.topology import EVENTS, PEER_BYTES, Binding, Exchange, Queue, Topology
from nm_bus.transport.base import REPLY_TO, Delivery, Outcome, Outgoing
from nm_bus.transport.memory_queue import Clock, Consumer, MemoryQueue

# --- How a broker routes: topic patterns and consistent hashing. Pure, and the same everywhere.

Destination = TypeVar("Destination")


@lru_cache(maxsize=65_536)
def topic_matches(pattern: str, key: str) -> bool:
    """Tell whether a binding key matches a routing key: `*` is one word, `#` any number."""
    return _words_match(_words(pattern), _words(key))


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


def _words_match(pattern: list[str], words: list[str]) -> bool:
    match pattern:
        case []:
            return not words
        case ["#", *rest]:
            return any(_words_match(rest, words[n:]) for n in range(len(words) + 1))
        case [first, *rest]:
            return bool(words) and first in ("*", words[0]) and _words_match(rest, words[1:])
    raise AssertionError(pattern)


def spread(key: str, weighted: Sequence[tuple[Destination, int]]) -> Destination:
    """Pick the destination of a key, the same one each time, by weight.

    Two exchanges whose destinations were bound in the same order give the same partition.
    """
    point = zlib.crc32(key.encode()) % sum(weight for _, weight in weighted)
    for destination, weight in weighted:
        point -= weight
        if point < 0:
            return destination
    raise AssertionError(key)


DEFAULT = "amq.default"


@dataclass(frozen=True, slots=True)
class BrokerRefusal:
    """The broker's no: what closes a channel, in RabbitMQ's words."""

    code: int
    text: str


class BrokerClient(Protocol):
    """One connection as the broker knows it."""

    user: str

    def lost(self, reason: str) -> None:
        """The connection is gone."""

    def block(self, reason: str | None) -> None:
        """Publishing is blocked for this reason, or (None) no longer."""

    def answer(self, delivery: Delivery) -> None:
        """A message to the direct reply-to."""

    def consumer_gone(self, queue: str) -> None:
        """The queue that was read is deleted."""


class MemoryBroker:
    """A broker with one vhost. It begins started and empty but for the exchange of its events."""

    def __init__(self, clock: Clock, name: str = "memory", max_bytes: int = PEER_BYTES) -> None:
        self.name = name
        self._clock, self._max_bytes = clock, max_bytes
        self._grants: dict[str, Grant] = {}
        self._exchanges = {EVENTS: Exchange(EVENTS)}
        self._bindings: list[Binding] = []
        self.queues: dict[str, MemoryQueue] = {}
        self._clients: list[BrokerClient] = []
        self._answers: dict[str, BrokerClient] = {}
        self._answer_ids = count(1)
        self._stalled: list[Callable[[], None]] = []
        self.running, self.paused = True, False
        self.alarm: str | None = None

    # --- for whoever runs it

    def admit(self, grant: Grant) -> None:
        """Make a user, or change its rights."""
        self._grants[grant.user] = grant

    def revoke(self, user: str) -> None:
        """Delete a user and cut its connections."""
        self._grants.pop(user, None)
        self.close_connections(user, f"CONNECTION_FORCED - user '{user}' is deleted")

    def close_connections(self, user: str, reason: str = "CONNECTION_FORCED - closed") -> None:
        """Cut all connections of a user."""
        for client in [client for client in self._clients if client.user == user]:
            self._cut(client, reason)

    def stop(self) -> None:
        """Stop: connections are cut; durable queues and what is on disk are kept."""
        self.running = False
        for client in list(self._clients):
            self._cut(client, "CONNECTION_FORCED - broker forced connection closure")
        for queue in self.queues.values():
            queue.stopped()

    def start(self) -> None:
        """Start again after `stop`."""
        self.running, self.paused, self.alarm = True, False, None

    def pause(self) -> None:
        """Do nothing at all until `resume`, with connections open: a stopped process."""
        self._set_paused(True)

    def resume(self) -> None:
        """Go on after `pause`; what was sent meanwhile comes now."""
        self._set_paused(False)
        stalled, self._stalled = self._stalled, []
        for arrive in stalled:
            arrive()

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused
        for queue in self.queues.values():
            queue.paused = paused
            queue.pump()

    def block(self, reason: str) -> None:
        """Block publishers, as for a memory or disk alarm."""
        self.alarm = reason
        for client in list(self._clients):
            client.block(reason)

    def unblock(self) -> None:
        """End the alarm."""
        self.alarm = None
        for client in list(self._clients):
            client.block(None)

    def delete_queue(self, name: str) -> None:
        """Delete a queue with its messages; its consumers are told."""
        queue = self.queues.pop(name, None)
        self._bindings = [b for b in self._bindings if b.to_exchange or b.destination != name]
        if queue is not None:
            for client in list(self._clients):
                client.consumer_gone(name)

    # --- for transports

    def connect(self, client: BrokerClient) -> BrokerRefusal | None:
        """Take a connection, or refuse its user."""
        if client.user not in self._grants:
            return BrokerRefusal(403, f"ACCESS_REFUSED - the user {client.user} is not known")
        self._clients.append(client)
        return None

    def disconnect(self, client: BrokerClient) -> None:
        """The client is gone; its consumers are removed by itself."""
        if client in self._clients:
            self._clients.remove(client)
        self._answers = {name: who for name, who in self._answers.items() if who is not client}

    def reply_address(self, client: BrokerClient) -> str:
        """Give the address of a client's direct reply-to."""
        address = f"{REPLY_TO}.{next(self._answer_ids)}"
        self._answers[address] = client
        return address

    def _cut(self, client: BrokerClient, reason: str) -> None:
        self.disconnect(client)
        client.lost(reason)

    def stall(self, arrive: Callable[[], None]) -> None:
        """Keep what arrives while paused."""
        self._stalled.append(arrive)

    def publish(self, user: str, message: Outgoing) -> Outcome | BrokerRefusal:
        """Check the rights, route, and say what became of it."""
        return self._may_publish(user, message) or self._route(message)

    def _route(self, message: Outgoing) -> Outcome:
        if message.exchange == "" and message.key in self._answers:
            self._answer(self._answers[message.key], message)
            return Outcome.CONFIRMED
        queues = sorted(set(self._destinations(message.exchange, message.key, set())))
        taken = [self.queues[name].put(message) for name in queues]
        return Outcome.CONFIRMED if all(taken) else Outcome.NACKED

    def _answer(self, client: BrokerClient, message: Outgoing) -> None:
        answer = delivery(message, REPLY_TO, tag=0, epoch=0)
        self._clock.later(0.0, partial(client.answer, answer))

    def _destinations(self, exchange: str, key: str, seen: set[str]) -> Iterator[str]:
        """Walk from an exchange to queues, each exchange once, so that a circle ends."""
        if exchange == "":
            yield from (key,) if key in self.queues else ()
            return
        seen.add(exchange)
        for binding in self._matching(exchange, key):
            if not binding.to_exchange:
                yield binding.destination
            elif binding.destination not in seen:
                yield from self._destinations(binding.destination, key, seen)

    def _matching(self, exchange: str, key: str) -> list[Binding]:
        bindings = [binding for binding in self._bindings if binding.source == exchange]
        match self._exchanges[exchange].type:
            case "x-consistent-hash" if bindings:
                return [spread(key, [(binding, int(binding.key)) for binding in bindings])]
            case "topic":
                return [binding for binding in bindings if topic_matches(binding.key, key)]
            case "direct":
                return [binding for binding in bindings if binding.key == key]
        return bindings

    def _dead_letter(self, queue: Queue, message: Outgoing, reason: str) -> None:
        exchange = queue.arguments.get("x-dead-letter-exchange")
        deaths = list(message.headers.get("x-death", ()))
        circle = reason != "rejected" and any(
            (death["queue"], death["reason"]) == (queue.name, reason) for death in deaths
        )
        if exchange is None or circle or (exchange and exchange not in self._exchanges):
            return
        key = queue.arguments.get("x-dead-letter-routing-key", message.key)
        headers = _with_death(message, queue.name, reason, deaths)
        self._route(replace(message, exchange=exchange, key=key, headers=headers, expiration=None))

    # --- consuming

    def consume(self, user: str, queue: str, consumer: Consumer) -> BrokerRefusal | None:
        """Let a consumer read a queue, or refuse it."""
        if refusal := self._may(user, "read", queue, f"queue '{queue}'"):
            return refusal
        found = self.queues.get(queue)
        if found is None:
            return BrokerRefusal(404, f"NOT_FOUND - no queue '{queue}'")
        if any(other.exclusive for other in found.consumers) or (
            consumer.exclusive and found.consumers
        ):
            return BrokerRefusal(403, f"ACCESS_REFUSED - queue '{queue}' in exclusive use")
        found.add(consumer)
        return None

    # --- declaring

    def declare(self, topology: Topology, user: str | None = None) -> BrokerRefusal | None:
        """Declare all of it, with a user's rights or (None) as whoever runs the broker."""
        steps = [
            *(partial(self._delete, name, user) for name in topology.deleted),
            *(partial(self._declare_exchange, exchange, user) for exchange in topology.exchanges),
            *(partial(self._declare_queue, queue, user) for queue in topology.queues),
            *(partial(self._bind, binding, user) for binding in topology.bindings),
        ]
        return next((refusal for step in steps if (refusal := step())), None)

    def _delete(self, queue: str, user: str | None) -> BrokerRefusal | None:
        if refusal := self._may(user, "configure", queue, f"queue '{queue}'"):
            return refusal
        self.delete_queue(queue)
        return None

    def _declare_exchange(self, exchange: Exchange, user: str | None) -> BrokerRefusal | None:
        if refusal := self._may(user, "configure", exchange.name, f"exchange '{exchange.name}'"):
            return refusal
        if self._exchanges.setdefault(exchange.name, exchange).type != exchange.type:
            return BrokerRefusal(
                406, f"PRECONDITION_FAILED - inequivalent exchange '{exchange.name}'"
            )
        return None

    def _declare_queue(self, queue: Queue, user: str | None) -> BrokerRefusal | None:
        if refusal := self._may(user, "configure", queue.name, f"queue '{queue.name}'"):
            return refusal
        known = self.queues.get(queue.name)
        if known is None:
            unused = partial(self.delete_queue, queue.name)
            self.queues[queue.name] = MemoryQueue(queue, self._clock, self._dead_letter, unused)
        elif known.declared != queue:
            return BrokerRefusal(406, f"PRECONDITION_FAILED - inequivalent queue '{queue.name}'")
        else:
            known.used()
        return None

    def _bind(self, binding: Binding, user: str | None) -> BrokerRefusal | None:
        kinds: tuple[str, dict[str, Any]] = ("queue", dict(self.queues))
        if binding.to_exchange:
            kinds = ("exchange", dict(self._exchanges))
        refusal = self._may(
            user, "write", binding.destination, f"{kinds[0]} '{binding.destination}'"
        ) or self._may(user, "read", binding.source, f"exchange '{binding.source}'")
        if refusal:
            return refusal
        if binding.destination not in kinds[1]:
            return BrokerRefusal(404, f"NOT_FOUND - no {kinds[0]} '{binding.destination}'")
        if binding.source not in self._exchanges:
            return BrokerRefusal(404, f"NOT_FOUND - no exchange '{binding.source}'")
        if binding not in self._bindings:
            self._bindings.append(binding)
        return None

    # --- rights

    def _may(self, user: str | None, right: str, name: str, what: str) -> BrokerRefusal | None:
        if user is None:
            return None
        grant = self._grants.get(user)
        if grant is not None and _matches(getattr(grant, right), name):
            return None
        return BrokerRefusal(403, f"ACCESS_REFUSED - access to {what} refused for user '{user}'")

    def _may_publish(self, user: str, message: Outgoing) -> BrokerRefusal | None:
        name = message.exchange or DEFAULT
        if refusal := self._may(user, "write", name, f"exchange '{name}'"):
            return refusal
        if message.exchange and message.exchange not in self._exchanges:
            return BrokerRefusal(404, f"NOT_FOUND - no exchange '{message.exchange}'")
        grant = self._grants[user]
        if message.user_id not in (None, user) and "impersonator" not in grant.tags:
            return BrokerRefusal(
                406,
                f"PRECONDITION_FAILED - user_id property set to '{message.user_id}'"
                f" but authenticated user was '{user}'",
            )
        if len(message.body) > self._max_bytes:
            size = f"message size {len(message.body)} is larger than {self._max_bytes}"
            return BrokerRefusal(406, f"PRECONDITION_FAILED - {size}")
        write, _ = grant.topics.get(message.exchange, ("", ""))
        if _matches(write, message.key):
            return None
        topic = f"topic '{message.key}' in exchange '{message.exchange}'"
        return BrokerRefusal(403, f"ACCESS_REFUSED - access to {topic} refused for '{grant.user}'")


def _with_death(
    message: Outgoing, queue: str, reason: str, deaths: list[dict[str, Any]]
) -> dict[str, Any]:
    """Add a death to the headers, as RabbitMQ does: the latest first, the first one named."""
    same = next((d for d in deaths if (d["queue"], d["reason"]) == (queue, reason)), None)
    others = [death for death in deaths if death is not same]
    latest = {
        "queue": queue,
        "reason": reason,
        "exchange": message.exchange,
        "routing-keys": [message.key],
        "count": 1 + (same["count"] if same else 0),
    }
    first = {
        "x-first-death-queue": queue,
        "x-first-death-reason": reason,
        "x-first-death-exchange": message.exchange,
    }
    return {**first, **message.headers, "x-death": [latest, *others]}


def delivery(message: Outgoing, queue: str, *, tag: int, epoch: int) -> Delivery:
    """Make what a consumer gets of a message."""
    return Delivery(
        message.body,
        message.exchange,
        message.key,
        message.user_id,
        queue,
        tag,
        epoch,
        reply_to=message.reply_to,
        correlation_id=message.correlation_id,
        headers=message.headers or None,
    )


def _matches(expression: str, name: str) -> bool:
    """As a broker would decide it. Python writes `\\Z` for what is `\\z` in PCRE: the very end."""
    return re.search(expression.replace(r"\z", r"\Z"), name) is not None
