"""The client for programs that use asyncio: `AsyncClient`, with the same methods as `Client`.

The work is the blocking client's. Questions go through one thread, one after the other: one whose
task is cancelled goes on until it is answered or its time is over, and the next one waits for that.
What is followed uses a thread only while there is something to do, and waits for its sockets in the
loop: a task that is cancelled there ends at once, and misses nothing that it asks for later.
"""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from nm_bus.client import alerts, updates
from nm_bus.client.carrier import FollowedItem
from nm_bus.client.client import Client
from nm_bus.client.entries import LedgerEntry
from nm_bus.client.federation import changes
from nm_bus.client.federation.picture import Picture
from nm_bus.client.locks import Held
from nm_bus.core.ledger.follower import Place
from nm_bus.messages import (
    Alert,
    ChangeId,
    DomainKey,
    NodeDetail,
    NodeId,
    Proposed,
    Seconds,
    Severity,
    Standing,
    Update,
)
from nm_bus.settings import AdministratorSettings

STEP: Seconds = 0.5
"""How long one waits for sockets before what is due by its time is looked after."""

SOME = 100
"""So many items of a list are fetched by one step of the thread."""

InThread = Callable[..., Awaitable[Any]]
"""Lets a thread do something."""

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Steppable(Protocol[T_co]):
    """What can be followed: `Updates`, `Alerts`, `Following` and `Changes`."""

    def step(self, wait: Seconds, /) -> T_co | None:
        """The next item, or None when there is none now."""

    def sockets(self) -> list[int]:
        """What becomes readable when there may be one."""

    def close(self) -> None:
        """Leave."""


class AsyncStream(AsyncIterator[T]):
    """Gives what is followed, for ever. Use it by `async with`, or close it by `aclose`."""

    def __init__(
        self, opened: Callable[[], Awaitable[Steppable[T]]], run: InThread = asyncio.to_thread
    ) -> None:
        self._opened, self._run = opened, run
        self._work: asyncio.Future[Any] | None = None
        self.steps: Steppable[T] | None = None
        """The blocking one beneath, once an item was asked for: it has the `place` of updates."""

    async def __aenter__(self) -> "AsyncStream[T]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the supernodes, once the step at which the thread is is done; also when this is
        cancelled, but then without waiting for it."""
        await asyncio.shield(asyncio.ensure_future(self._leave()))

    async def _leave(self) -> None:
        if self._work is not None:
            await asyncio.wait([self._work])
            if self.steps is None and self._work.exception() is None:
                self.steps = self._work.result()
        if self.steps is not None:
            await self._run(self.steps.close)

    def __aiter__(self) -> "AsyncStream[T]":
        return self

    async def __anext__(self) -> T:
        while True:
            if self.steps is None:
                self.steps = await self._done(self._opened)
            item: T | None = await self._done(partial(self._run, self.steps.step, 0.0))
            if item is not None:
                return item
            await readable(self.steps.sockets(), STEP)

    async def _done(self, begin: Callable[[], Awaitable[Any]]) -> Any:
        """What a thread does, or has begun for one that was cancelled: nothing of it is lost."""
        if self._work is None:
            self._work = asyncio.ensure_future(begin())
        try:
            return await asyncio.shield(self._work)
        finally:
            if self._work.done():
                self._work = None


async def _to_the_end(work: Coroutine[Any, Any, Any]) -> None:
    """Wait until it is done, though one is cancelled meanwhile: that comes after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def readable(sockets: list[int], timeout: Seconds) -> None:
    """Wait until one of the sockets is readable, or the time is over."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    watched = [number for number in sockets if number >= 0]
    for number in watched:
        loop.add_reader(number, came.set)
    try:
        await asyncio.wait_for(came.wait(), timeout)
    except TimeoutError:
        return
    finally:
        for number in watched:
            loop.remove_reader(number)


class AsyncClient:
    """A component's way to its project, for one event loop; use it by `async with`.

    What each method promises is told at the method of `Client` that has its name.
    """

    def __init__(self, settings: AdministratorSettings | Path | str | Client, **more: Any) -> None:
        self._client = settings if isinstance(settings, Client) else Client(settings, **more)
        self._thread = ThreadPoolExecutor(1, "nm-bus client")

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leave the supernode, once the question that is on its way is over."""
        await self._do(self._client.close)
        self._thread.shutdown(wait=False)

    @property
    def user(self) -> NodeId:
        """Who the certificate says we are."""
        return self._client.user

    async def _do(self, call: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(call, *args, **more))

    async def _each(self, items: Iterator[T]) -> AsyncIterator[T]:
        while some := await self._do(lambda: list(islice(items, SOME))):
            for item in some:
                yield item

    # --- reading

    async def get(self, key: str, *, at_least: int = 0, agreed: bool = False) -> LedgerEntry | None:
        return await self._do(self._client.get, key, at_least=at_least, agreed=agreed)

    async def document(
        self, component: str, name: str, *, at_least: int = 0, agreed: bool = False
    ) -> LedgerEntry | None:
        return await self._do(
            self._client.document, component, name, at_least=at_least, agreed=agreed
        )

    def entries(
        self, prefix: str = "", *, at_least: int = 0, agreed: bool = False
    ) -> AsyncIterator[LedgerEntry]:
        return self._each(self._client.entries(prefix, at_least=at_least, agreed=agreed))

    def records(self, kind: str = "") -> AsyncIterator[LedgerEntry]:
        return self._each(self._client.records(kind))

    def history(
        self, key: str = "", *, before: int = 0, without_locks: bool = False
    ) -> AsyncIterator[Update]:
        past = self._client.history(key, before=before, without_locks=without_locks)
        return self._each(past)

    async def revision(self, number: int) -> Update | None:
        return await self._do(self._client.revision, number)

    async def standing(self) -> Standing:
        return await self._do(self._client.standing)

    async def wait(self, revision: int, timeout: Seconds | None = None) -> Standing:
        return await self._do(self._client.wait, revision, timeout)

    async def place(self, feed: str = "", after: int | None = None) -> Place:
        return await self._do(self._client.place, feed, after)

    # --- the federation

    async def status(self) -> Picture:
        return await self._do(self._client.status)

    async def node(self, node: NodeId) -> NodeDetail:
        return await self._do(self._client.node, node)

    async def ask(self, node: NodeId, what: str, check: str = "") -> dict[str, Any]:
        return await self._do(self._client.ask, node, what, check)

    async def active_alerts(self, under: DomainKey = "") -> list[Alert]:
        return await self._do(self._client.active_alerts, under)

    # --- following

    def updates(
        self,
        component: str | None = None,
        since: Place | int | None = None,
        *,
        feed: str | None = None,
        quiet: Seconds | None = None,
    ) -> AsyncStream[updates.UpdateItem]:
        begin = partial(self._client.updates, component, since, feed=feed, quiet=quiet)
        return AsyncStream(partial(self._do, begin))

    def alerts(
        self,
        name: str = "",
        severities: tuple[Severity, ...] = (),
        under: tuple[DomainKey, ...] = (),
        *,
        remembered: Path | None = None,
    ) -> AsyncStream[alerts.AlertItem]:
        return AsyncStream(
            partial(self._do, self._client.alerts, name, severities, under, remembered=remembered)
        )

    def tail(self, exchange: str, key: str = "#") -> AsyncStream[FollowedItem]:
        return AsyncStream(partial(self._do, self._client.tail, exchange, key))

    def changes(self, every: Seconds = 2.0) -> AsyncStream[changes.PictureItem]:
        return AsyncStream(partial(self._do, self._client.changes, every), self._do)

    # --- changing

    async def put(self, component: str, name: str, content: Any, **more: Any) -> Proposed:
        return await self._do(self._client.put, component, name, content, **more)

    async def delete(self, key: str, **more: Any) -> Proposed:
        return await self._do(self._client.delete, key, **more)

    async def set_record(
        self, kind: str, name: str, value: dict[str, Any], **more: Any
    ) -> Proposed:
        return await self._do(self._client.set_record, kind, name, value, **more)

    async def propose(
        self, kind: str, key: str, value: dict[str, Any] | None = None, **more: Any
    ) -> Proposed:
        return await self._do(self._client.propose, kind, key, value, **more)

    async def outcome(self, id: ChangeId) -> Proposed | None:
        return await self._do(self._client.outcome, id)

    # --- locks

    @asynccontextmanager
    async def lock(
        self, name: str, *, wait: Seconds | None = None, ttl: Seconds = 15.0
    ) -> AsyncIterator[Held]:
        """One that is cancelled while it waits ends within about a second, without the lock."""
        cancelled = threading.Event()
        end = float("inf") if wait is None else time.monotonic() + wait
        with self._client.beside() as client:
            lock = client.locking(
                name, ttl, lambda: cancelled.is_set() or time.monotonic() >= end
            ).held()
            entering = asyncio.ensure_future(asyncio.to_thread(lock.__enter__))
            try:
                held = await asyncio.shield(entering)
            except asyncio.CancelledError:
                cancelled.set()
                await asyncio.wait([entering])
                if entering.exception() is None:
                    await _to_the_end(asyncio.to_thread(lock.__exit__, None, None, None))
                raise
            try:
                yield held
            finally:
                await _to_the_end(asyncio.to_thread(lock.__exit__, *sys.exc_info()))
