"""What a reader of the management API makes of an answer: what RabbitMQ says, or a refusal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nm_broker import management
from nm_broker.answers import BindingAnswer, NodeAnswer, QueueAnswer, measured
from nm_broker.links import Links
from nm_broker.management import ManagementApi
from nm_broker.standing import logins, standing
from nm_broker.succession import succeed
from nm_broker.testing.canned import answering
from nm_bus.errors import RefusedError
from nm_bus.grants import grant
from nm_bus.identity.role import Role
from nm_bus.settings import Broker, Peer, SupernodeSettings, Tls

HERE, THERE, USER = "sn1.example.org", "sn2.example.org", "_nm-bus"
TLS = Tls(Path("ca"), Path("certificate"), Path("key"))
SETTINGS = SupernodeSettings(
    "demo",
    HERE,
    Path("state"),
    Broker(HERE),
    TLS,
    link_tls=TLS,
    peers=(Peer(THERE, Broker(THERE)),),
)

Reader = Callable[[ManagementApi], object]

LISTS: dict[str, Reader] = {
    "vhosts": ManagementApi.vhosts,
    "users": ManagementApi.users,
    "rights": lambda api: api.rights("a", "nm.demo"),
    "apply": lambda api: api.apply(grant(Role.MEMBER, "a"), "nm.demo"),
    "queues": lambda api: api.queues("nm.demo"),
    "depths": lambda api: api.depths("nm.demo"),
    "bindings": lambda api: api.get(
        tuple[BindingAnswer, ...], "queues", "nm.demo", "q", "bindings"
    ),
    "shovel settings": lambda api: api.shovel_settings("nm.demo"),
    "shovels": lambda api: api.shovels("nm.demo"),
    "connections": ManagementApi.connections,
    "nodes": ManagementApi.nodes,
    "apply links": lambda api: Links(api, SETTINGS).apply(),
    "look at links": lambda api: Links(api, SETTINGS).look(),
    "standing": lambda api: standing(api, "nm.demo"),
    "logins": lambda api: logins(api, "nm.demo"),
    "succeed": succeed,
}
"""The readers of lists."""

OBJECTS: dict[str, Reader] = {
    "overview": ManagementApi.overview,
    "alarms": ManagementApi.alarms,
    "unhealthy": lambda api: api.unhealthy("port-listener", "5671"),
    "tags": lambda api: api.tags("a"),
    "queues but some": lambda api: api.queues_but("nm.demo", "inbox."),
}
"""The readers of one thing."""

ODD = {
    "nothing": b"",
    "a page": b"<html>sign in</html>",
    "cut off": b'[{"name": "a"',
    "no UTF-8": b'[{"name": "\xff"}]',
    "half a surrogate": rb'[{"name": "\ud800"}]',
    "nested too deep": b"[" * 100_000,
    "nested too deep in what nobody reads": b'[{"x": ' + b"[" * 100_000,
    "null": b"null",
    "a number": b"7",
    "a number of 400 digits": b"9" * 400,
    "a text": b'"ok"',
    "NaN": b"NaN",
    "a list of nulls": b"[null]",
    "a list of numbers": b"[1]",
    "a list of lists": b"[[]]",
    "a name that is a number": b'[{"name": 7, "user": 7, "tags": 7}]',
    "a name that is null beside what is no text": b'[{"name": null, "user": {}, "tags": 7}]',
    "an object of another server": b'{"error": 7, "items": []}',
}


def api(url: str) -> ManagementApi:
    return ManagementApi(url, USER, "secret", timeout=30.0)


@pytest.mark.parametrize("reader", LISTS | OBJECTS)
@pytest.mark.parametrize("odd", ODD)
def test_what_rabbitmq_would_not_say_is_refused_in_one_sentence(odd: str, reader: str) -> None:
    with answering(ODD[odd]) as url, pytest.raises(RefusedError) as refused:
        (LISTS | OBJECTS)[reader](api(url))
    said = str(refused.value)
    assert said.startswith(f"{url}: ")
    assert "the answer" in said
    assert "is it the management API of RabbitMQ? See `management.url`" in said
    assert "\n" not in said
    assert len(said) < 600


@pytest.mark.parametrize("reader", OBJECTS)
@pytest.mark.parametrize("body", [b"{}", b"[]"])
def test_an_answer_without_what_is_always_there_is_refused(reader: str, body: bytes) -> None:
    with answering(body) as url, pytest.raises(RefusedError, match="is it the management API"):
        OBJECTS[reader](api(url))


@pytest.mark.parametrize("reader", sorted(LISTS.keys() - {"connections"}))
def test_an_item_without_its_name_is_refused(reader: str) -> None:
    said = pytest.raises(RefusedError, match="missing required field")
    with answering(b'[{"vhost": "nm.demo"}]') as url, said:
        LISTS[reader](api(url))


COUNTS = [b"-1", b"1.5", b'"3"', b"[]", b"9" * 400, b"1e400", b"9223372036854775808"]


@pytest.mark.parametrize("count", COUNTS)
def test_a_count_that_is_none_is_refused(count: bytes) -> None:
    said = pytest.raises(RefusedError, match="is it the management API")
    with answering(b'[{"name": "q", "messages": %b}]' % count) as url, said:
        api(url).depths("nm.demo")


def test_a_version_that_no_supernode_could_report_is_refused() -> None:
    said = pytest.raises(RefusedError, match="is it the management API")
    with answering(b'{"rabbitmq_version": "%b"}' % (b"3" * 65)) as url, said:
        api(url).overview()


@pytest.mark.parametrize("status", [400, 401, 404, 500])
@pytest.mark.parametrize("odd", ODD)
def test_a_no_in_any_form_is_a_refusal(odd: str, status: int) -> None:
    with answering(ODD[odd], status) as url:
        for read in (ManagementApi.users, ManagementApi.alarms):
            with pytest.raises(RefusedError) as refused:
                read(api(url))
            assert len(str(refused.value)) < 600


@pytest.mark.parametrize("odd", sorted(ODD.keys() - {"nothing"}))
def test_a_health_check_that_fails_in_another_form_is_a_refusal(odd: str) -> None:
    with answering(ODD[odd], 503) as url, pytest.raises(RefusedError):
        api(url).alarms()


def test_a_page_in_answer_to_a_change_is_a_refusal() -> None:
    said = pytest.raises(RefusedError, match=r"PUT vhosts/v: the answer cannot be read")
    with answering(b"<html>sign in</html>") as url, said:
        api(url).put({}, "vhosts", "v")


def test_an_answer_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'[{"name": "a"}]'
    with answering(body) as url:
        monkeypatch.setattr(management, "MOST_BYTES", len(body))
        assert api(url).users() == ["a"]
        monkeypatch.setattr(management, "MOST_BYTES", len(body) - 1)
        with pytest.raises(RefusedError, match="an answer of more than 14 bytes"):
            api(url).users()


# --- what RabbitMQ does say ----------------------------------------------------------------


def test_a_queue_just_declared_has_no_counts_yet() -> None:
    body = b'[{"name": "q"}, {"name": "r", "messages": null, "message_stats": null, "new": {}}]'
    with answering(body) as url:
        assert api(url).queues("nm.demo") == {
            "q": QueueAnswer(name="q"),
            "r": QueueAnswer(name="r"),
        }
        assert api(url).depths("nm.demo") == {"q": 0, "r": 0}
        assert api(url).queues("nm.demo")["q"].acked == 0


def test_a_queue_that_nobody_read_from_has_an_empty_list_of_statistics() -> None:
    body = b'[{"name": "q", "messages": 1, "message_stats": []}]'
    with answering(body) as url:
        queue = api(url).queues("nm.demo")["q"]
    assert (queue.messages, queue.acked) == (1, 0)


def test_what_is_named_twice_counts_as_it_was_said_last() -> None:
    body = b'[{"name": "q", "messages": 1, "messages": 2}, {"name": "q", "messages": 3}]'
    with answering(body) as url:
        assert api(url).depths("nm.demo") == {"q": 3}


def test_a_node_that_is_down_states_its_name_alone() -> None:
    with answering(b'[{"name": "rabbit@a", "running": false, "mem_used": null}]') as url:
        assert api(url).nodes() == (NodeAnswer(name="rabbit@a"),)


def test_a_measure_that_the_broker_does_not_take_is_a_word() -> None:
    with answering(b'[{"name": "rabbit@a", "fd_used": "unknown", "fd_total": 5}]') as url:
        (node,) = api(url).nodes()
    assert (measured(node.fd_used), measured(node.fd_total), measured(node.mem_used)) == (0, 5, 0)


def test_a_connection_just_opened_may_have_no_user_yet() -> None:
    with answering(b'[{"name": "a", "user": null}, {"recv_oct": 7}, {"name": "b"}]') as url:
        assert [(each.name, each.user) for each in api(url).connections()] == [
            ("a", None),
            (None, None),
            ("b", None),
        ]


def test_a_check_that_fails_says_why_and_what_is_short() -> None:
    body = b'{"status": "failed", "reason": "too little", "alarms": [{"resource": "disk"}]}'
    with answering(body, 503) as url:
        assert api(url).alarms() == ["disk"]
        assert api(url).unhealthy("alarms") == "too little"
    with answering(b'{"status": "ok"}') as url:
        assert (api(url).alarms(), api(url).unhealthy("alarms")) == ([], "")
