"""Components on a federation of real brokers and supernodes, whose programs are killed meanwhile.

`NM_BUS_LONG_SECONDS` says for how long the long walk lasts.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nm_broker.program import Program
from nm_bus.client import Client, Contact, Place, Quiet, Snapshot
from nm_bus.client.aio import AsyncClient, AsyncStream
from nm_bus.client.updates import UpdateItem
from nm_bus.core.ledger.chain import feed_head_of, head_of
from nm_bus.errors import UndecidedError
from nm_bus.messages import Update
from nm_bus.topology import vhost
from nm_lab.federation.building import Federation, Plan

from ..client.promises import Promises, component

__all__ = ["component"]

pytestmark = pytest.mark.broker

NODES = tuple(f"sn{n}.example.org" for n in range(1, 4))
EXAMPLES = Path(__file__).parents[2] / "agents" / "examples"
LONG = float(os.environ.get("NM_BUS_LONG_SECONDS", "60"))
EVENTUALLY = 120.0
WALKED = ("config/walk", "config/walk.on", "config/stroll")
"""The feeds that change while supernodes are killed. What is bound for the first brings the second
as well."""
NEVER = "config/never"
"""One that nobody writes."""


@pytest.fixture(scope="module")
def federation(program: Program) -> Iterator[Federation]:
    folder = Path(tempfile.mkdtemp(prefix="nm-bus-components-"))
    federation = Federation(Plan(folder, "components", NODES, {}, program=program))
    try:
        federation.build()
        federation.start_brokers()
        for node in NODES:
            federation.start_supernode(node)
        yield federation
    finally:
        group = federation.lifeline.group
        federation.stop()
        # a process whose supernode was killed while it started has nobody who ends it
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        shutil.rmtree(folder)


@pytest.fixture
def client(federation: Federation) -> Iterator[Client]:
    with Client(federation.administrator, timeout=EVENTUALLY) as client:
        yield client


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + EVENTUALLY
    while not condition():
        assert time.monotonic() < deadline, f"it never came true: {what}"
        time.sleep(0.1)


# --- consumers on a random walk of kills


@dataclass(eq=False)
class Consumer(threading.Thread):
    """Follows from a place on, and writes down all that it is given."""

    config: Path
    start_at: Place
    last: int = 0
    """The last revision that it can be given, once it is known."""
    given: list[Update] = field(default_factory=list)
    others: list[Snapshot] = field(default_factory=list)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(name="consumer", daemon=True)
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            with (
                Client(self.config) as client,
                client.updates(feed=self.start_at.feed, since=self.start_at, quiet=0.5) as updates,
            ):
                for item in updates:
                    self._take(item)
                    if self.ended.is_set():
                        return
        except BaseException as error:  # told to the test by `checked`
            self.failure = error
            raise

    def _take(self, item: Update | Snapshot | Quiet) -> None:
        if isinstance(item, Update):
            self.given.append(item)
        elif isinstance(item, Snapshot):
            self.others.append(item)

    @property
    def is_there(self) -> bool:
        """Whether it was given all."""
        return bool(self.given) and self.given[-1].revision >= self.last

    def checked(self, end: Place) -> None:
        """Every update came once, in order, bound to the one before it, and no other thing."""
        assert self.failure is None
        assert self.others == []
        place, at = self.start_at, 0
        for update in self.given:
            link = update.place if place.feed else update
            assert link.previous == place.head
            assert update.head == head_of(update)
            assert update.place.head == feed_head_of(update)
            assert place.feed in ("", update.place.feed)
            assert update.revision > at
            after = place.after(update)
            assert after.number == place.number + 1
            place, at = after, update.revision
        assert place == end


def walk(federation: Federation, client: Client, *, consumers: int, seconds: float) -> None:
    """Put documents while one supernode's program after the other is killed and started again."""
    chance = random.Random(7)
    here = {feed: client.place(feed) for feed in ("", *WALKED, NEVER)}
    # half of them follow everything, the others a feed each
    feeds = [("", *WALKED)[n % 2 and 1 + n // 2 % len(WALKED)] for n in range(consumers)]
    following = [Consumer(federation.administrator, here[feed]) for feed in feeds]
    stranger = Consumer(federation.administrator, here[NEVER])
    for consumer in (*following, stranger):
        consumer.start()
    end, puts, kills, dead, due = time.monotonic() + seconds, 0, 0, "", time.monotonic()
    while time.monotonic() < end:
        puts += 1
        put(client, puts)
        if time.monotonic() < due:
            continue
        due = time.monotonic() + chance.uniform(1.0, 4.0)
        if dead:
            federation.start_supernode(dead)
            dead = ""
        else:
            dead, kills = chance.choice(NODES), kills + 1
            federation.supernode(dead).kill()
            federation.supernode(dead).wait(30.0)
    if dead:
        federation.start_supernode(dead)
    value = {"content": "", "encoding": "text"}
    last = {feed: client.propose("set", f"{feed}/end", value).revision for feed in WALKED}
    last[""] = max(last.values())
    for consumer in following:
        consumer.last = last[consumer.start_at.feed]
    until(lambda: all(c.is_there for c in following), "every consumer has the last revision")
    for consumer in (*following, stranger):
        consumer.ended.set()
        consumer.join(EVENTUALLY)
        consumer.checked(end_of(consumer, client))
    print(
        f"{consumers} consumers, {seconds:g} s: {puts} documents put, {kills} supernodes killed, "
        f"revisions {here[''].number + 1} to {last['']}, updates given: "
        f"{[(c.start_at.feed, len(c.given)) for c in following]}"
    )


def end_of(consumer: Consumer, client: Client) -> Place:
    """Where its last update leads, or where a feed is that only the walk has written."""
    if consumer.start_at.feed:
        return client.place(consumer.start_at.feed)
    revision = consumer.given[-1].revision
    return consumer.start_at.after(next(client.updates_of(since=revision - 1)))


def put(client: Client, n: int) -> None:
    """Put one document; what is not decided yet is asked again by its id."""
    value = {"content": str(n), "encoding": "text"}
    change = ""
    while True:
        try:
            key = f"{WALKED[n % len(WALKED)]}/{n % 10}"
            client.propose("set", key, value, id=change, timeout=20.0)
            return
        except UndecidedError as error:
            change = error.id


def test_consumers_miss_nothing_while_supernodes_are_killed(
    federation: Federation, client: Client
) -> None:
    walk(federation, client, consumers=3, seconds=15.0)


@pytest.mark.long
@pytest.mark.timeout(LONG + 600)
def test_ten_consumers_miss_nothing_for_as_long_as_one_likes(
    federation: Federation, client: Client
) -> None:
    walk(federation, client, consumers=10, seconds=LONG)


# --- what every client promises


class TestReal(Promises):
    """A client of real supernodes."""


def test_an_event_loop_follows_real_brokers(federation: Federation) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        async with AsyncClient(federation.administrator, timeout=EVENTUALLY) as client:
            streams = [client.updates("loop", quiet=60.0) for _ in range(5)]
            taken = [asyncio.ensure_future(anext(stream)) for stream in streams]
            until_here = [await asyncio.wait_for(ready(stream), EVENTUALLY) for stream in streams]
            assert until_here == [True] * 5
            agreed = await client.put("loop", "a.txt", "x")
            given = await asyncio.wait_for(asyncio.gather(*taken), EVENTUALLY)
            assert [item.revision for item in given if isinstance(item, Update)] == (
                [agreed.revision] * 5
            )
            async with client.alerts() as alerts, client.lock("loop"):
                heard = [await asyncio.wait_for(anext(alerts), EVENTUALLY) for _ in NODES]
                assert len({item.supernode for item in heard if isinstance(item, Contact)}) >= 1
            for stream in streams:
                await stream.aclose()

    asyncio.run(main())


async def ready(stream: AsyncStream[UpdateItem]) -> bool:
    """Once it knows from where on it follows."""
    while stream.steps is None:
        await asyncio.sleep(0.01)
    return True


# --- the examples


def example(name: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, EXAMPLES / name, *arguments]
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)


def test_the_component_that_follows_goes_on_where_it_was(
    federation: Federation, client: Client, tmp_path: Path
) -> None:
    place, config = tmp_path / "place.json", federation.administrator
    client.put("dashboard", "colours.json", "{}")

    def told() -> str:
        running = example("follow_updates.py", config, "dashboard", place, "--count", 1)
        return running.communicate(timeout=EVENTUALLY)[0]

    assert "config/dashboard/colours.json has 2 bytes, by admin.example" in told()
    deleted = client.delete("config/dashboard/colours.json")
    assert told() == f"{deleted.revision} config/dashboard/colours.json is gone\n"


def test_the_standby_takes_over_from_the_component_that_was_killed(
    federation: Federation,
) -> None:
    config = federation.administrator
    pair = [example("active_standby.py", config, "harvester", "--ttl", 3) for _ in range(2)]
    told: list[list[str]] = [[], []]

    def read(n: int) -> None:
        out = pair[n].stdout
        assert out is not None
        told[n].extend(line for line in out)

    def token(n: int) -> int:
        terms = [line for line in list(told[n]) if line.startswith("active")]
        return int(terms[-1].rpartition(" ")[2]) if terms else 0

    readers = [threading.Thread(target=read, args=(n,), daemon=True) for n in range(2)]
    for reader in readers:
        reader.start()
    try:
        until(lambda: token(0) or token(1), "one is active")
        active = 0 if token(0) else 1
        assert not token(1 - active)
        pair[active].kill()
        until(lambda: token(1 - active) > token(active), "the other is active")
    finally:
        for each, reader in zip(pair, readers, strict=True):
            each.kill()
            each.wait(30.0)
            reader.join(30.0)
            if each.stdout is not None:
                each.stdout.close()


@pytest.fixture
def node_example(tmp_path: Path) -> Path:
    """The example in Node.js beside the libraries it needs, which npm fetches."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not on this machine")
    for name in ("read_updates.js", "package.json"):
        shutil.copy(EXAMPLES / name, tmp_path)
    install = ["npm", "install", "--no-audit", "--no-fund", "--cache", str(tmp_path / "cache")]
    installed = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"npm cannot fetch the libraries: {installed.stderr[-300:]}")
    return tmp_path / "read_updates.js"


def test_another_language_reads_the_stream_by_the_schemas_alone(
    federation: Federation, client: Client, node_example: Path
) -> None:
    odd = 'quote " slash \\ newline \n bell \x07 delete \x7f é 漢 🙂 \u2028'
    name = {"\U0001f642": 1, "\uffff": 2, "a": [None, True, {"b": -5, "A": 2**53 - 1}]}
    client.put("reader", "odd.txt", odd)
    last = client.propose("set", "record/oddity/reader", {"odd": name, "text": odd})
    settings, broker = client.settings, client.settings.supernodes[1].broker
    options = {
        "host": broker.host,
        "address": broker.address,
        "port": broker.port,
        "vhost": vhost(settings.project),
        "ca": settings.tls.ca,
        "certificate": settings.tls.certificate,
        "key": settings.tls.key,
        "schemas": EXAMPLES.parents[1] / "schemas",
        "until": last.revision,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    read = subprocess.run(
        ["node", str(node_example), *words],
        capture_output=True,
        text=True,
        timeout=EVENTUALLY,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    told = [json.loads(line) for line in read.stdout.splitlines()]
    assert [each["revision"] for each in told] == list(range(1, last.revision + 1))
    # more may have been agreed since: what the reader saw is compared, and no later revision
    ours = [u.head for u in client.updates_of(since=0) if u.revision <= last.revision]
    assert [each["head"] for each in told] == ours
