"""`Bus`: a person's or a component's way to a project's supernodes, whichever of them answer.

A request goes to the supernode that answered last, then to the others in the order of the settings;
following goes to all of them at once.
"""

import queue
import random
import time
from collections.abc import Generator
from functools import partial
from uuid import uuid4

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from nm_bus.client.following import PREFETCH, Followed, Follower, Heard, Received, follow
from nm_bus.client.route import Route
from nm_bus.client.silence import MAY_PASS, QUICK, Said, Silence, is_cheap, nobody, quietly
from nm_bus.errors import ConnectionLostError, NmBusError
from nm_bus.identity.certificates import user_of
from nm_bus.messages import Answer, Message, NodeId, Seconds, Subscribe, Tail
from nm_bus.settings import AdministratorSettings, Peer, timing
from nm_bus.topology import vhost
from nm_bus.transport.reconnect import Pauses

ROUNDS = 2
"""How often all supernodes are tried for one request."""


def route_to(
    peer: Peer, settings: AdministratorSettings, user: NodeId, connect: Seconds | None = None
) -> Route:
    """A connection of one's own to a supernode of the settings; open it by `with`."""
    times = timing(settings)
    return Route(
        peer,
        vhost=vhost(settings.project),
        user=user,
        role=settings.role,
        tls=settings.tls,
        timing=times,
        connect=times.connect if connect is None else connect,
    )


class Bus:
    """Connections to the supernodes of the settings. Raises ConfigError for the own certificate."""

    def __init__(self, settings: AdministratorSettings, said: Said = quietly) -> None:
        self._settings, self._timing = settings, timing(settings)
        self._silence = Silence(said)
        self.user: NodeId = user_of(settings.tls)
        self._route: Route | None = None

    def __enter__(self) -> "Bus":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the supernode that was asked last; the next request connects anew."""
        self._leave()

    def _opened(self, peer: Peer, connect: Seconds) -> Route:
        return route_to(peer, self._settings, self.user, connect)

    def _leave(self) -> None:
        if self._route is not None:
            self._route.close()
            self._route = None

    # --- requests

    def request(
        self, message: Message, timeout: Seconds, supernode: NodeId | None = None
    ) -> Answer:
        """Ask the first supernode that answers within `timeout`, or the one that is named.

        Raises the most telling of what went wrong: ConfigError or RefusedError before
        TimedOutError and ConnectionLostError, which then say it of each one that was asked.
        """
        start, request = time.monotonic(), str(uuid4())
        attempts = Retrying(
            stop=stop_after_attempt(ROUNDS) | stop_after_delay(timeout),
            wait=wait_random_exponential(multiplier=self._timing.retry_first, max=timeout / 4),
            retry=retry_if_exception_type(MAY_PASS),
            reraise=True,
        )
        peers = self._candidates(supernode)
        quick = QUICK if len(peers) > 1 and is_cheap(message) else timeout
        longest = iter((quick, *(ROUNDS * [timeout])))
        return attempts(
            lambda: self._ask_each(message, request, (start, start + timeout), peers, next(longest))
        )

    def _candidates(self, supernode: NodeId | None) -> list[Peer]:
        peers = [p for p in self._settings.supernodes if supernode in (None, p.node)]
        if not peers:
            raise ConnectionLostError(f"{supernode} is none of the supernodes in the settings")
        last = self._route.supernode if self._route is not None else None
        return sorted(peers, key=lambda peer: peer.node != last)

    def _ask_each(
        self,
        message: Message,
        request: str,
        within: tuple[Seconds, Seconds],
        peers: list[Peer],
        longest: Seconds,
    ) -> Answer:
        """One round. Each may take its share of what is left of the time, or `longest`."""
        start, deadline = within
        failures: dict[NodeId, NmBusError] = {}
        for tried, peer in enumerate(peers, 1):
            share = max(0.5, (deadline - time.monotonic()) / (len(peers) - tried + 1))
            try:
                answer = self._ask(message, request, peer, min(longest, share))
            except NmBusError as error:
                self._leave()
                failures[peer.node] = error
                following = peers[tried % len(peers)]
                self._silence.of(peer.node, error, following.node, time.monotonic() - start)
            else:
                self._silence.broken(peer.node)
                return answer
        telling = min(failures.values(), key=lambda error: isinstance(error, MAY_PASS))
        raise nobody(failures, telling) if len(peers) > 1 else telling

    def _ask(self, message: Message, request: str, peer: Peer, limit: Seconds) -> Answer:
        if self._route is None or self._route.supernode != peer.node:
            self._leave()
            self._route = self._opened(peer, min(self._timing.connect, limit)).__enter__()
        return self._route.ask(message, request, limit)

    # --- following

    def follow(self, message: Subscribe | Tail) -> Generator[Followed, None, None]:
        """Ask each supernode for a queue and read them all, those too that come back later.

        Never ends by itself; yields at least each half second. Close it to end it.
        """
        peers = self._settings.supernodes
        inbox: queue.Queue[Received | Heard] = queue.Queue(len(peers) * (PREFETCH + 1))
        followers = [
            Follower(
                peer.node,
                partial(self._opened, peer, self._timing.connect),
                message,
                pauses=Pauses(self._timing.retry_first, self._timing.retry_most, random.random),
                timeout=self._timing.connect,
                inbox=inbox,
            )
            for peer in peers
        ]
        return follow(followers, inbox)
