"""Relays between brokers: what crosses them is late, or does not cross while they are cut.

They stand for the network of a federation on one machine: a link goes by way of a relay, so that it
can be slow or cut without touching the machine's own network. They run on a thread of their own.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nm_bus.messages import Seconds

CHUNK = 64 * 1024
UNDER_WAY = 256
"""How many chunks may be under way in one direction; then the sender has to wait, as in TCP."""

ANSWER: Seconds = 10.0

Address = tuple[str, int]
T = TypeVar("T")


@dataclass(slots=True)
class Relay:
    """One way from an address of its own to another one. `delay` is seconds, in each direction."""

    destination: Address
    delay: Seconds = 0.0
    address: Address = ("", 0)
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def serve(self, host: str) -> None:
        """Listen at a free port of `host`."""
        self._open.set()
        self._server = await asyncio.start_server(self._connected, host, 0)
        name = self._server.sockets[0].getsockname()
        self.address = name[0], name[1]

    async def cut(self) -> None:
        """Let nothing through, as a network does that fails: nobody is told."""
        self._open.clear()

    async def heal(self) -> None:
        """Let everything through again, what was under way first."""
        self._open.set()

    async def end(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._open.wait()
            far, forth = await asyncio.open_connection(*self.destination)
            try:
                await asyncio.gather(self._carry(near, forth), self._carry(far, back))
            finally:
                await _closed(forth)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            await _closed(back)
            self._tasks.discard(task)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Bring what comes to the other side, each chunk `delay` after it came."""
        waiting: asyncio.Queue[tuple[Seconds, bytes]] = asyncio.Queue(UNDER_WAY)
        writer = asyncio.create_task(self._bring(waiting, target))
        try:
            clock = asyncio.get_running_loop().time
            while chunk := await source.read(CHUNK):
                await waiting.put((clock() + self.delay, chunk))
            await waiting.put((clock() + self.delay, b""))
            await writer
        finally:
            writer.cancel()

    async def _bring(
        self, waiting: "asyncio.Queue[tuple[Seconds, bytes]]", target: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, chunk = await waiting.get()
            await asyncio.sleep(max(0.0, due - clock()))
            await self._open.wait()
            if not chunk:
                target.write_eof() if target.can_write_eof() else target.close()
                return
            target.write(chunk)
            await target.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()


class Relays:
    """All relays of a federation. Use as a context: at its end nothing of them is left."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._relays: list[Relay] = []

    def __enter__(self) -> "Relays":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for relay in self._relays:
            self._do(relay.end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWER)
        self._loop.close()

    def lay(self, destination: Address, delay: Seconds = 0.0) -> Relay:
        """Begin a relay to an address; raises OSError when there is no port to listen at."""
        relay = Relay(destination, delay)
        self._do(relay.serve(self._host))
        self._relays.append(relay)
        return relay

    def cut(self, *relays: Relay) -> None:
        """Let nothing through these."""
        for relay in relays:
            self._do(relay.cut())

    def heal(self, *relays: Relay) -> None:
        """Let everything through these again."""
        for relay in relays:
            self._do(relay.heal())

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(ANSWER)
