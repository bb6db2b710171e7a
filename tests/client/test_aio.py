"""The client in an event loop: what it gives, what it does not block, and how it is cancelled."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nm_bus.client import NOWHERE, Contact, Picture, PictureChange, Snapshot, Updates
from nm_bus.client.aio import AsyncClient, AsyncStream
from nm_bus.client.client import Client
from nm_bus.client.sessions import Session
from nm_bus.client.updates import UpdateItem
from nm_bus.errors import ConflictError, ConnectionLostError, RefusedError
from nm_bus.messages import Health, MemberState, MemberView, Update
from nm_bus.testing.project import FakeProject
from nm_bus.testing.supernodes import FakeSupernodes

from .conftest import ADMIN, NODES
from .test_alerts import alert


@asynccontextmanager
async def connected(project: FakeProject) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(project.client(ADMIN, timeout=5.0)) as client:
        yield client


Body = Callable[[AsyncClient], Coroutine[Any, Any, None]]


@pytest.fixture
def run(project: FakeProject) -> Callable[[Body], None]:
    """Run a test's body in a loop, with a client."""

    def run_it(body: Body) -> None:
        async def main() -> None:
            async with connected(project) as client:
                await asyncio.wait_for(body(client), 60)

        asyncio.run(main())

    return run_it


def test_it_reads_and_changes_as_the_blocking_one(run: Callable[[Body], None]) -> None:
    async def body(client: AsyncClient) -> None:
        for n in range(5):
            await client.put("dash", f"{n}.txt", str(n))
        document = await client.document("dash", "3.txt")
        assert document is not None
        assert (document.text, client.user) == ("3", ADMIN)
        assert [e.text async for e in client.entries("config/dash/")] == ["0", "1", "2", "3", "4"]
        assert [u.revision async for u in client.history()] == [5, 4, 3, 2, 1]
        deleted = await client.delete("config/dash/0.txt")
        assert await client.outcome(deleted.id) == deleted
        assert (await client.standing()).revision == (await client.wait(6)).revision == 6
        with pytest.raises(RefusedError, match="is no key"):
            await client.get("dash/a.txt")

    run(body)


def test_questions_at_once_are_answered_one_after_the_other(run: Callable[[Body], None]) -> None:
    async def body(client: AsyncClient) -> None:
        await asyncio.gather(*(client.put("dash", f"{n}.txt", "x") for n in range(5)))
        assert (await client.standing()).revision == 5

    run(body)


def test_many_subscriptions_share_one_thread(run: Callable[[Body], None]) -> None:
    async def body(client: AsyncClient) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        streams = [client.updates(since=NOWHERE) for _ in range(50)]
        for stream in streams:
            assert isinstance(await anext(stream), Snapshot)
        taken = [asyncio.ensure_future(next_update(stream)) for stream in streams]
        await client.put("dash", "a.txt", "x")
        assert [update.revision for update in await asyncio.gather(*taken)] == [1] * 50
        for stream in streams:
            await stream.aclose()

    run(body)


async def next_update(stream: AsyncStream[UpdateItem]) -> Update:
    async for item in stream:
        if isinstance(item, Update):
            return item
    raise AssertionError("it ended")


def test_one_that_is_cancelled_while_it_waits_misses_nothing(
    run: Callable[[Body], None], supernodes: FakeSupernodes
) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.updates(since=NOWHERE) as updates, client.alerts() as alerts:
            assert isinstance(await anext(updates), Snapshot)
            for _ in NODES:
                assert isinstance(await anext(alerts), Contact)
            for n in range(1, 6):
                waiting = asyncio.ensure_future(next_update(updates))
                hearing = asyncio.ensure_future(anext(alerts))
                for _ in range(n):
                    await asyncio.sleep(0)
                waiting.cancel()
                hearing.cancel()
                await asyncio.wait([waiting, hearing])
                await client.put("dash", "a.txt", str(n))
                supernodes.alert(alert(n))
                assert (await next_update(updates)).revision == n
                assert (await anext(alerts)) == alert(n)

    run(body)


def test_what_is_followed_goes_on_at_another_supernode(
    run: Callable[[Body], None], supernodes: FakeSupernodes
) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.updates(since=0) as updates:
            await client.put("dash", "a.txt", "1")
            assert (await next_update(updates)).revision == 1
            supernodes[0].kill()
            await client.put("dash", "a.txt", "2")
            assert (await next_update(updates)).revision == 2
            assert isinstance(updates.steps, Updates)
            assert updates.steps.place.number == 2

    run(body)


def test_a_picture_comes_and_then_its_changes(
    run: Callable[[Body], None], supernodes: FakeSupernodes
) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.changes(every=0.0) as changes:
            picture = await anext(changes)
            assert isinstance(picture, Picture)
            view = MemberView(NODES[0], 0.0, MemberState("n1.org", Health.ALIVE))
            supernodes.sight.members = (view,)
            change = await anext(changes)
            assert isinstance(change, PictureChange)
            assert change.members == (view,)

    run(body)


def test_a_lock_is_held_within_and_waited_for(run: Callable[[Body], None]) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.lock("index") as held:
            with pytest.raises(ConflictError, match=f"index is held by {ADMIN}"):
                async with client.lock("index", wait=0):
                    raise AssertionError("it was granted twice")
            waiting = asyncio.ensure_future(token(client))
            await client.status()
            assert not waiting.done()
        assert await waiting > held.token
        with pytest.raises(ZeroDivisionError):
            async with client.lock("index"):
                raise ZeroDivisionError
        assert [entry async for entry in client.entries("lock/")] == []

    run(body)


async def token(client: AsyncClient) -> int:
    async with client.lock("index") as held:
        return held.token


def test_one_that_is_cancelled_while_it_waits_for_a_lock_does_not_get_it(
    run: Callable[[Body], None],
) -> None:
    async def body(client: AsyncClient) -> None:
        async with client.lock("index"):
            waiting = asyncio.ensure_future(token(client))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        assert [entry async for entry in client.entries("lock/")] == []
        assert [entry async for entry in client.entries("session/")] == []

    run(body)


def test_a_question_that_is_cancelled_holds_up_the_next_one_and_harms_nothing(
    run: Callable[[Body], None], supernodes: FakeSupernodes
) -> None:
    async def body(client: AsyncClient) -> None:
        asking = asyncio.ensure_future(client.put("dash", "a.txt", "x"))
        await asyncio.sleep(0)
        asking.cancel()
        assert (await client.put("dash", "b.txt", "y")).state == "agreed"

    run(body)


def test_nothing_runs_on_once_it_is_closed(project: FakeProject) -> None:
    before = threading.active_count()

    async def main() -> None:
        async with AsyncClient(project.client()) as client, client.alerts() as alerts:
            for _ in NODES:
                await anext(alerts)

    asyncio.run(main())
    assert threading.active_count() <= before
    assert all(one.woken == [] for one in project.supernodes.by_node.values())


class Steps:
    """What can be followed, and does what a test says."""

    def __init__(self, slow: float = 0.0) -> None:
        self.slow, self.closed = slow, 0

    def step(self, _wait: float) -> str | None:
        time.sleep(self.slow)
        return "item"

    def sockets(self) -> list[int]:
        return []

    def close(self) -> None:
        self.closed += 1


def test_a_stream_goes_on_after_an_error_that_passed() -> None:
    tried: list[int] = []

    async def opened() -> Steps:
        tried.append(1)
        if len(tried) == 1:
            raise ConnectionLostError("no supernode answers")
        return Steps()

    async def body() -> None:
        stream = AsyncStream(opened)
        with pytest.raises(ConnectionLostError):
            await anext(stream)
        assert await anext(stream) == "item"
        await stream.aclose()

    asyncio.run(body())


def test_leaving_that_is_cancelled_leaves_all_the_same() -> None:
    steps = Steps(slow=0.3)

    async def opened() -> Steps:
        return steps

    async def body() -> None:
        stream = AsyncStream(opened)
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        following.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.aclose(), 0.01)
        async with asyncio.timeout(30.0):
            while not steps.closed:
                await asyncio.sleep(0.01)

    asyncio.run(body())
    assert steps.closed == 1


def test_one_that_is_cancelled_while_it_is_opened_is_closed_too() -> None:
    steps, go_on = Steps(), threading.Event()

    async def opened() -> Steps:
        await asyncio.to_thread(go_on.wait, 30.0)
        return steps

    async def body() -> None:
        stream = AsyncStream(opened)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.01)
        leaving = asyncio.ensure_future(stream.aclose())
        go_on.set()
        await leaving

    asyncio.run(body())
    assert steps.closed == 1


def test_a_release_that_is_cancelled_is_made_before_its_client_leaves(
    project: FakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    releasing, leaving = Session.close, Client.close

    def slowly(session: Session, timeout: float) -> None:
        time.sleep(0.3)
        releasing(session, timeout)
        done.append("released")

    def left(client: Client) -> None:
        done.append("left")
        leaving(client)

    monkeypatch.setattr(Session, "close", slowly)
    monkeypatch.setattr(Client, "close", left)

    async def body() -> None:
        async with connected(project) as client:
            held = asyncio.Event()

            async def hold() -> None:
                async with client.lock("backup"):
                    held.set()

            holding = asyncio.ensure_future(hold())
            await held.wait()
            await asyncio.sleep(0.05)
            holding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await holding

    asyncio.run(body())
    # the first is the session's own client, which its release takes along
    assert done == ["left", "released", "left", "left"]
