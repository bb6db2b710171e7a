"""RabbitMQ's management API over loopback HTTP: users, grants, topology, parameters, health.

Every call is whole in itself and may be made again: applying something twice is harmless. What a
grant or a topology says is decided in `nm_bus.grants` and `nm_bus.topology`; what an answer holds
stands in `nm_broker.answers`, and one of another form is a refusal.

The standard library's HTTP client will do: one short call at a time to one host, no TLS, no
redirects; a larger one would only add to what each program of a supernode loads.
"""

import base64
import http.client
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from nm_broker import answers
from nm_bus.boundary import Unreadable, attempt
from nm_bus.errors import ConfigError, ConnectionLostError, RefusedError, TimedOutError
from nm_bus.grants import NOTHING, Grant
from nm_bus.settings import Management
from nm_bus.topology import Topology

Json = dict[str, Any]

T = TypeVar("T")

SHOWN = 200
"""How much of an answer that says no is shown."""

MOST_BYTES = 64 * 1024 * 1024
"""The largest answer that is read."""

QUEUE_COLUMNS = "columns=name,messages,messages_ready,messages_unacknowledged,message_stats.ack"
"""What is asked of each queue: all that the broker knows of one is twenty times as much."""

QUEUE_PAGE = 500
"""The most queues that RabbitMQ gives in one page."""


@dataclass(frozen=True, slots=True)
class ManagementApi:
    """A client of one broker's management API; `timeout` is in seconds, per call.

    Every method raises ConnectionLostError when the broker cannot be reached, RefusedError when
    it says no or what RabbitMQ would not, and TimedOutError when it does not answer in time.
    """

    url: str
    user: str
    password: str = field(repr=False)
    timeout: float = 10.0

    @classmethod
    def described(cls, management: Management, timeout: float = 10.0) -> "ManagementApi":
        """The API that a supernode's settings describe; ConfigError without a password to use."""
        if management.password_file is None:
            fix = "name the file (mode 0600)"
            raise ConfigError("management", "no password_file is given", fix)
        _check_url(management.url)
        password = _password(management.password_file)
        return cls(management.url, management.user, password, timeout)

    # --- vhosts, users and grants ---

    def vhosts(self) -> list[str]:
        """The names of the vhosts."""
        return [item.name for item in self.get(tuple[answers.Named, ...], "vhosts")]

    def put_vhost(self, vhost: str) -> None:
        """Make a vhost. The management user needs a permission in it to declare anything."""
        self.put({}, "vhosts", vhost)
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.put(everything, "permissions", vhost, self.user)

    def delete_vhost(self, vhost: str) -> None:
        """Delete a vhost with all that is in it."""
        self.delete("vhosts", vhost)

    def users(self) -> list[str]:
        """The names of the users."""
        return [item.name for item in self.get(tuple[answers.User, ...], "users")]

    def tags(self, name: str) -> tuple[str, ...]:
        """The tags of a user, such as `administrator`."""
        return self.get(answers.User, "users", name).tags

    def put_user(self, name: str, tags: Iterable[str] = ()) -> None:
        """Make a user that can log in by certificate alone: it has no password."""
        self.put({"password_hash": "", "tags": ",".join(tags)}, "users", name)

    def delete_user(self, name: str) -> None:
        """Delete a user; the broker cuts its connections at once."""
        self.delete("users", name)

    def apply(self, grant: Grant, vhost: str) -> None:
        """Make the grant's user, if need be, and give it exactly these rights in the vhost.

        The limits on routing keys come first: a user without any may use every key. For the same
        reason an exchange that the grant no longer names is closed, not forgotten.
        """
        self.put_user(grant.user, grant.tags)
        closed = {item.exchange: (NOTHING, NOTHING) for item in self._limits(grant.user, vhost)}
        for exchange, (write, read) in (closed | grant.topics).items():
            limit = {"exchange": exchange, "write": write, "read": read}
            self.put(limit, "topic-permissions", vhost, grant.user)
        rights = {"configure": grant.configure, "write": grant.write, "read": grant.read}
        self.put(rights, "permissions", vhost, grant.user)

    def rights(self, user: str, vhost: str) -> Grant | None:
        """What a user may do in a vhost, or None when it may not even enter."""
        all_of_it = self.get(tuple[answers.Permission, ...], "users", user, "permissions")
        found = next((item for item in all_of_it if item.vhost == vhost), None)
        if found is None:
            return None
        topics = {item.exchange: (item.write, item.read) for item in self._limits(user, vhost)}
        own = (found.user, found.configure, found.write, found.read)
        return Grant(*own, topics=topics, tags=self.tags(user))

    def _limits(self, user: str, vhost: str) -> list[answers.TopicPermission]:
        kind = tuple[answers.TopicPermission, ...]
        limits = self.get(kind, "users", user, "topic-permissions")
        return [item for item in limits if item.vhost == vhost]

    # --- topology ---

    def declare(self, topology: Topology, vhost: str) -> None:
        """Declare all of it in order; RefusedError when something is there but different."""
        for exchange in topology.exchanges:
            durable = {"type": exchange.type, "durable": True, "auto_delete": False}
            self.put({**durable, "arguments": {}}, "exchanges", vhost, exchange.name)
        for queue in topology.queues:
            arguments = queue.declared_arguments()
            body = {"durable": True, "auto_delete": False, "arguments": arguments}
            self.put(body, "queues", vhost, queue.name)
        for binding in topology.bindings:
            to = "e" if binding.to_exchange else "q"
            ends = ("e", binding.source, to, binding.destination)
            self.call("POST", "bindings", vhost, *ends, body={"routing_key": binding.key})

    def delete_queue(self, vhost: str, name: str) -> None:
        """Delete a queue and what is in it."""
        self.delete("queues", vhost, name)

    def queues(self, vhost: str) -> dict[str, answers.QueueAnswer]:
        """The broker's statements of its queues, by name; up to five seconds old."""
        kind = tuple[answers.QueueAnswer, ...]
        known = self.get(kind, "queues", vhost, query=QUEUE_COLUMNS)
        return {item.name: item for item in known}

    def queues_but(self, vhost: str, prefix: str) -> dict[str, answers.QueueAnswer]:
        """The same, without the queues whose names begin so. Of these the broker collects nothing:
        with thousands of them it has a fraction of the work."""
        pattern = quote(f"^(?!{re.escape(prefix)})", safe="")
        query = f"{QUEUE_COLUMNS}&page_size={QUEUE_PAGE}&use_regex=true&name={pattern}"
        known: dict[str, answers.QueueAnswer] = {}
        for number in count(1):
            page = self.get(answers.QueuePage, "queues", vhost, query=f"{query}&page={number}")
            known |= {item.name: item for item in page.items}
            if number >= page.page_count or not page.items:
                break
        return known

    def depths(self, vhost: str) -> dict[str, int]:
        """How many messages wait in each queue, delivered but unacknowledged ones included."""
        return {name: item.messages or 0 for name, item in self.queues(vhost).items()}

    # --- shovels ---

    def put_shovel(self, vhost: str, name: str, value: Json) -> None:
        """Start a shovel, or restart it with other settings."""
        self.put({"value": value}, "parameters", "shovel", vhost, name)

    def delete_shovel(self, vhost: str, name: str) -> None:
        """Stop a shovel for good. Do so before deleting its queue."""
        self.delete("parameters", "shovel", vhost, name)

    def shovel_settings(self, vhost: str) -> dict[str, Json]:
        """The settings of the vhost's shovels, by name."""
        known = self.get(tuple[answers.ShovelParameter, ...], "parameters", "shovel", vhost)
        return {item.name: item.value for item in known}

    def shovels(self, vhost: str) -> dict[str, answers.Shovel]:
        """What the vhost's shovels say of themselves, by name. "running" is not health."""
        known = self.get(tuple[answers.Shovel, ...], "shovels", vhost)
        return {item.name: item for item in known}

    # --- connections and health ---

    def connections(self) -> tuple[answers.ConnectionAnswer, ...]:
        """The broker's statements of its connections; a new one shows after five seconds."""
        return self.get(tuple[answers.ConnectionAnswer, ...], "connections")

    def close_connections(self, user: str, reason: str) -> None:
        """Close all connections of a user; it may connect again."""
        self.delete("connections", "username", user, headers={"X-Reason": reason})

    def overview(self) -> answers.OverviewAnswer:
        """The broker's statement of itself: its name and version."""
        return self.get(answers.OverviewAnswer, "overview")

    def nodes(self) -> tuple[answers.NodeAnswer, ...]:
        """The broker's statements of its nodes: memory, disk, file handles, their limits."""
        return self.get(tuple[answers.NodeAnswer, ...], "nodes")

    def alarms(self) -> list[str]:
        """What the broker has too little of, so that it blocks publishers: `memory`, `disk`."""
        return sorted({item.resource for item in self._check("alarms").alarms or ()})

    def unhealthy(self, *check: str) -> str:
        """Run a health check, such as `alarms` or `port-listener`, `5671`: why it fails, or ""."""
        return self._check(*check).reason or ""

    def _check(self, *check: str) -> answers.CheckAnswer:
        path = ("health", "checks", *check)
        status, said = self._exchange("GET", _path(path), None, {})
        if status not in {http.client.OK, http.client.SERVICE_UNAVAILABLE}:
            raise RefusedError(f"{self.url}: GET {'/'.join(path)}: {status} {_reason(said)}")
        return self._decoded(said, answers.CheckAnswer, "GET", path)

    # --- the calls themselves ---

    def get(self, kind: type[T], *path: str, query: str = "") -> T:
        """Read something of this kind; an answer of another form is RefusedError."""
        return self._decoded(self._said("GET", path, query=query), kind, "GET", path)

    def post(self, kind: type[T], body: Json, *path: str) -> T:
        """Have something done whose answer is of this kind."""
        return self._decoded(self._said("POST", path, body=body), kind, "POST", path)

    def put(self, body: Json, *path: str) -> None:
        """Make something, or change it."""
        self.call("PUT", *path, body=body)

    def delete(self, *path: str, headers: dict[str, str] | None = None) -> None:
        """Delete something; harmless when it is not there."""
        self.call("DELETE", *path, headers=headers, absent_is_fine=True)

    def call(
        self,
        method: str,
        *path: str,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
        absent_is_fine: bool = False,
    ) -> None:
        """Make one call that changes something; an answer may be empty, but no proxy's page."""
        said = self._said(method, path, body, headers, absent_is_fine=absent_is_fine)
        if said:
            self._decoded(said, object, method, path)

    def _said(
        self,
        method: str,
        path: tuple[str, ...],
        body: Json | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
        *,
        absent_is_fine: bool = False,
    ) -> bytes:
        """The answer to one call; one that says no is RefusedError."""
        where = _path(path) + (f"?{query}" if query else "")
        status, said = self._exchange(method, where, body, headers or {})
        if status == http.client.NOT_FOUND and absent_is_fine:
            return b""
        if status == http.client.UNAUTHORIZED:
            fix = "see `management` in the settings, or run `nm-bus broker setup`"
            raise RefusedError(f"{self.url}: refuses the user {self.user} or its password; {fix}")
        if status >= http.client.BAD_REQUEST:
            what = f"{self.url}: {method} {'/'.join(path)}: {status} {_reason(said)}"
            raise RefusedError(what)
        return said

    def _exchange(
        self, method: str, path: str, body: Json | None, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            where.hostname or "", where.port or 15672, timeout=self.timeout
        )
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {**self._headers(), **headers})
            answer = connection.getresponse()
            said = answer.read(MOST_BYTES + 1)
            if len(said) > MOST_BYTES:
                raise RefusedError(f"{self.url}: an answer of more than {MOST_BYTES} bytes")
            return answer.status, said
        except TimeoutError:
            raise TimedOutError(
                f"{self.url}: the management API did not answer within {self.timeout:g} s"
            ) from None
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            raise ConnectionLostError(
                f"{self.url}: the management API cannot be reached: {error}"
            ) from None
        finally:
            connection.close()

    def _decoded(self, said: bytes, kind: type[T], method: str, path: tuple[str, ...]) -> T:
        """An answer as what RabbitMQ would say; anything else is RefusedError."""
        found = attempt(lambda: msgspec.json.decode(said, type=kind))
        if isinstance(found, Unreadable):
            raise RefusedError(
                f"{self.url}: {method} {'/'.join(path)}: the answer {found.reason}; is it the "
                "management API of RabbitMQ? See `management.url` in the settings"
            )
        return found

    def _headers(self) -> dict[str, str]:
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {token}", "Content-Type": "application/json"}


def _check_url(url: str) -> None:
    """Raise ConfigError for what is no address of an API."""
    try:
        where = urlsplit(url)
        usable = where.scheme == "http" and bool(where.hostname) and where.port != 0
    except ValueError:
        usable = False
    if not usable:
        fix = "give it as http://127.0.0.1:15672, or http://[::1]:15672"
        raise ConfigError("management.url", f"{url!r} is no address of an API", fix)


def _password(file: Path) -> str:
    fix = "see its path and permissions"
    try:
        password = file.read_text().strip()
    except FileNotFoundError:
        what = (
            "the password is not there yet: `nm-bus broker run` or `nm-bus broker files` makes it"
        )
        raise ConfigError(file, what, "run one of them first") from None
    except OSError as error:
        raise ConfigError(file, f"the password cannot be read: {error.strerror}", fix) from None
    except UnicodeDecodeError:
        raise ConfigError(file, "is no text, where one password is expected", fix) from None
    if not password:
        raise ConfigError(file, "is empty, where one password is expected", fix)
    return password


def _path(parts: tuple[str, ...]) -> str:
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def _reason(said: bytes) -> str:
    """The reason in an answer that says no, which may be JSON or not."""
    found = attempt(lambda: _stated(msgspec.json.decode(said)))
    if isinstance(found, Unreadable):
        found = said.decode(errors="replace").strip()
    return found[:SHOWN]


def _stated(answer: Any) -> str:
    return str(answer.get("reason") or answer.get("error") if isinstance(answer, dict) else answer)
