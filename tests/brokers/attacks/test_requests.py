"""What one principal asks for ends no supernode, and takes no answer from the others."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pika.exceptions
import pytest

from nm_broker.pki import Authority
from nm_bus.client import Client
from nm_bus.codes import BAD_VALUE, NOT_ALLOWED
from nm_bus.errors import NmBusError, RefusedError
from nm_bus.identity.role import ASKERS, Role
from nm_bus.identity.signing import Signer
from nm_bus.messages import Change, Hello, Message, Propose, Query, Sync, domain_key
from nm_bus.topology import HEARTBEAT, UPDATES, inbox_queue, request_exchange, request_queue

from .conftest import ANSWERED, COMPONENT, HOSTILE, SN1, SUPERNODES, Arena, Principal, until
from .forged import (
    DOCUMENTS,
    SCHEMAS,
    chain_of_rsa,
    of_an_unknown_version,
    with_an_extension_twice,
)

pytestmark = [pytest.mark.broker, pytest.mark.timeout(600)]

MIB = 1024 * 1024
GROWTH = 200 * MIB
"""What a supernode may grow by while it refuses requests."""


def change(by: Principal, n: int = 0) -> Change:
    return Signer.load(by.tls).sign(Change(f"{by.name}/x/{n}", by.name, "set", "record/a/b"))


def most_memory(arena: Arena) -> int:
    """The most that any supernode ever had, in bytes."""
    return max(_peak(arena.federation.supernode(node).pid) for node in SUPERNODES)


def _peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) * 1024


@pytest.mark.parametrize("forged", [of_an_unknown_version, with_an_extension_twice])
@pytest.mark.parametrize("name", [HOSTILE, COMPONENT])
def test_a_certificate_that_no_library_reads_is_refused(
    arena: Arena, name: str, forged: Callable[[str], str]
) -> None:
    asker = arena.principals[name]
    proposed = Propose(change(asker), forged(name))
    for node in SUPERNODES:
        answer = asker.ask(proposed, node)
        assert (answer.ok, answer.code) == (False, NOT_ALLOWED), answer.error
    arena.all_answer()


def publish(arena: Arena, name: str, content: str, schema: str = "") -> None:
    """Ask for a document by hand: the client would not."""
    value = {"content": content, "encoding": "text", "schema": schema}
    value["media_type"] = f"application/{name.rpartition('.')[2]}"
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        client.propose("set", f"config/poison/{name}", value)


@pytest.mark.parametrize("what", SCHEMAS)
def test_a_schema_is_refused_while_others_are_answered(arena: Arena, what: str) -> None:
    schema, content = SCHEMAS[what]

    def attack() -> None:
        with pytest.raises(RefusedError, match=r"\w+") as raised:
            publish(arena, "a.json", content, schema)
        assert raised.value.code == BAD_VALUE

    arena.while_others_ask(attack)


def test_a_schema_whose_id_is_no_address_ends_nobody(arena: Arena) -> None:
    with suppress(RefusedError):
        publish(arena, "a.json", "{}", '{"$id": "http://["}')
    arena.all_answer()


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_document_is_refused_while_others_are_answered(arena: Arena, what: str) -> None:
    name, content = DOCUMENTS[what]

    def attack() -> None:
        with pytest.raises(RefusedError, match=r"\w+") as raised:
            publish(arena, name, content)
        assert raised.value.code == BAD_VALUE

    arena.while_others_ask(attack)


def test_thousands_that_ask_for_the_past_do_not_fill_the_memory(arena: Arena) -> None:
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        for n in range(10):
            client.put("large", f"{n}.txt", f"{n}" * 60_000)
        now = client.standing(SN1)
    first = Sync(now.epoch, 0, "")
    before = most_memory(arena)
    arena.while_others_ask(lambda: said(arena.hostile, [first] * 2_000))
    assert most_memory(arena) - before < GROWTH
    arena.agree()


def said(by: Principal, messages: list[Message]) -> None:
    by.request_many(SN1, messages)


def test_chains_of_large_keys_take_no_answer_from_others(arena: Arena) -> None:
    asker = arena.hostile
    certificate = chain_of_rsa(asker.name)
    proposed: list[Message] = [Propose(change(asker, n), certificate) for n in range(600)]
    arena.while_others_ask(lambda: said(asker, proposed))
    arena.agree()


def test_a_member_that_fills_the_ledger_is_refused_at_its_quota(arena: Arena) -> None:
    asker = arena.hostile
    assert asker.ask(Hello("member"), SN1).ok
    refused = ""
    with Client(asker.settings, timeout=ANSWERED) as client:
        for n in range(600):
            try:
                client.set_record(f"filler{n}", HOSTILE, {"text": "x" * 60_000})
            except RefusedError as error:
                refused = str(error)
                break
    assert "may not set" not in refused
    assert re.search(r"bytes|records|keys|quota", refused), refused
    arena.agree()


def test_noise_of_a_member_takes_no_request_of_an_administrator(arena: Arena) -> None:
    noise = [b"\x00" * 200_000] * 2_000
    arena.while_others_ask(
        lambda: arena.hostile.publish(SN1, request_exchange(Role.MEMBER), "hello", noise)
    )
    assert arena.hostile.ask(Query("status"), SN1).ok


def test_headers_of_many_values_are_refused_while_others_are_answered(arena: Arena) -> None:
    """Each would take tens of milliseconds to read: they are refused unread, with an answer."""
    many = {"x": [None] * 100_000}
    arena.while_others_ask(
        lambda: arena.hostile.publish(
            SN1, HEARTBEAT, domain_key(HOSTILE), [b"{}"] * 200, headers=many
        )
    )
    asked: list[Message] = [Query("status")] * 3
    assert arena.hostile.request_many(SN1, asked, headers=many) == len(asked)
    arena.all_answer()


COPIES = [
    *(f"{role}.query" for role in ASKERS),
    *("hello", "ask", "query", "tail", "#", ""),
    *(request_queue(role) for role in ASKERS),
]
"""Keys on which a copy could reach another role, or come twice."""


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_copies_of_a_request_are_refused_or_are_one_request(arena: Arena, header: str) -> None:
    asked: list[Message] = [Query("status")] * 3
    answers = 0
    with suppress(pika.exceptions.ChannelClosedByBroker):
        answers = arena.hostile.request_many(SN1, asked, {header: COPIES})
    assert answers == (0 if arena.checks_copies else len(asked))
    arena.all_answer()


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_noise_with_copies_pushes_out_no_request_of_another_role(arena: Arena, header: str) -> None:
    """While nobody reads, noise before and after a request fills every queue that it reaches."""
    boss, supernode = arena.administrator, arena.federation.supernode(SN1)
    asking, noise = request_exchange(Role.MEMBER), [b"\x00" * 200_000] * 400

    def flood() -> None:
        with suppress(pika.exceptions.ChannelClosedByBroker):
            arena.hostile.publish(SN1, asking, "hello", noise, {header: COPIES})

    with boss.channel(SN1) as channel:
        came = boss.answers(channel)
        supernode.send_signal(signal.SIGSTOP)
        try:
            flood()
            boss.send(channel, Query("status"))
            flood()
        finally:
            supernode.send_signal(signal.SIGCONT)
        until(lambda: channel.connection.process_data_events(0.1) or came, "its answer")
    arena.all_answer()


def test_a_component_that_says_it_is_a_member_does_not_join(arena: Arena) -> None:
    for node in SUPERNODES:
        arena.component.ask(Hello("member"), node)
    arena.agree()
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        assert client.get(f"member/{COMPONENT}", agreed=True) is None


def test_an_inbox_is_bound_to_what_its_owner_named_last_and_to_nothing_else(arena: Arena) -> None:
    def bound() -> list[str]:
        where = ("queues", arena.vhost, inbox_queue(HOSTILE), "bindings")
        found = arena.api(SN1).get(list[dict[str, Any]], *where)
        return sorted(each["routing_key"] for each in found if each["source"] == UPDATES)

    for feeds, keys in (
        (("config/a", "lock"), ["config.a.#", "lock.#", "session.#"]),
        (("config/b", "lock"), ["config.b.#", "lock.#", "session.#"]),
        ((), []),
    ):
        assert arena.hostile.ask(Hello(feeds=feeds), SN1).ok
        assert bound() == keys
    refused = arena.hostile.ask(Hello(feeds=("config/b", "nonsense/..")), SN1)
    assert (refused.ok, refused.code) == (False, "bad-request")
    assert "'nonsense/..' is no feed of the ledger" in refused.error
    assert bound() == []
    arena.all_answer()


def test_requests_of_another_role_are_refused_by_the_broker(arena: Arena) -> None:
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
        arena.component.publish(SN1, request_exchange(Role.MEMBER), "hello", [b"{}"])


@pytest.mark.parametrize("kind", ["altered", "of another", "unsigned", "by another's key"])
def test_a_change_that_its_actor_did_not_sign_is_refused(arena: Arena, kind: str) -> None:
    asker, boss = arena.hostile, arena.administrator
    own, others = Signer.load(asker.tls), Signer.load(boss.tls)
    wanted = {"administrator": True}
    plain = Change(f"{asker.name}/y/1", asker.name, "set", f"role/{HOSTILE}", value=wanted)
    proposed = {
        "altered": Propose(
            msgspec.structs.replace(own.sign(plain), value={"publisher": ["x"]}), own.certificate
        ),
        "of another": Propose(
            own.sign(msgspec.structs.replace(plain, actor=boss.name)), own.certificate
        ),
        "unsigned": Propose(plain, own.certificate),
        "by another's key": Propose(own.sign(plain), others.certificate),
    }[kind]
    answer = asker.ask(proposed, SN1)
    assert not answer.ok
    assert answer.code == NOT_ALLOWED
    with Client(boss.settings, timeout=ANSWERED) as client:
        assert client.get(f"role/{HOSTILE}", agreed=True) is None


def test_what_is_agreed_is_not_done_again(arena: Arena) -> None:
    boss = arena.administrator
    signer = Signer.load(boss.tls)
    value = {"content": "1", "encoding": "text"}
    first = signer.sign(
        Change(f"{boss.name}/z{time.time_ns()}/1", boss.name, "set", "config/r/a", value=value)
    )
    told = [boss.ask(Propose(first, signer.certificate), SN1) for _ in range(3)]
    assert [one.ok for one in told] == [True] * 3
    assert len({one.data["revision"] for one in told}) == 1


def test_a_lock_of_another_is_not_freed(arena: Arena) -> None:
    boss = Client(arena.administrator.settings, timeout=ANSWERED)
    with boss, boss.lock("held", ttl=600) as held:
        with Client(arena.hostile.settings, timeout=ANSWERED) as client:
            entry = client.get("lock/held", agreed=True)
            assert entry is not None
            with pytest.raises(NmBusError, match=r"held|session|allow"):
                client.propose("unlock", "lock/held", {"session": entry.value["session"]})
        assert boss.get("lock/held", agreed=True) is not None
        assert held.token > 0


@pytest.mark.parametrize("name", ["nm-bus", "_nm-bus", "guest"])
def test_no_certificate_is_issued_for_a_user_of_the_broker(tmp_path: Path, name: str) -> None:
    Authority.create(tmp_path / "pki")
    command = [sys.executable, "-m", "nm_agents.main", "pki", "issue", name]
    ran = subprocess.run(
        [*command, "--folder", str(tmp_path / "pki")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=ANSWERED,
        check=False,
    )
    assert ran.returncode != 0
    assert name in ran.stderr
    assert not list(tmp_path.rglob(f"{name}.crt"))


@pytest.mark.parametrize("name", ["nm-bus", "guest", "nobody.example.org"])
def test_a_certificate_with_such_a_name_logs_in_nowhere(arena: Arena, name: str) -> None:
    pki = arena.federation.plan.folder / "pki"
    tls = Authority.load(pki).issue(name, pki)
    stranger = Principal(name, Role.ADMINISTRATOR, tls, arena)
    with (
        pytest.raises(pika.exceptions.AMQPConnectionError),
        stranger.channel(SN1),
    ):
        pass


def test_the_ledgers_agree_after_all(arena: Arena) -> None:
    arena.agree()
    with Client(arena.administrator.settings, timeout=ANSWERED) as client:
        until(
            lambda: len({client.standing(node).revision for node in SUPERNODES}) == 1, "one height"
        )
        found = [client.standing(node) for node in SUPERNODES]
    assert {standing.reason for standing in found} == {""}
    assert len({(standing.epoch, standing.revision, standing.head) for standing in found}) == 1
