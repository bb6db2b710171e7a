"""`nm-bus dead ...`: the messages that were refused and are kept at this supernode's broker.

They are looked at through the broker's management API, on the supernode's host: nobody's login has
a right on that queue. Looking leaves them where they are, in their order.
"""

import base64
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import typer

from nm_agents.cli.broker.options import SupernodeFile, opened
from nm_agents.cli.confirming import DryRun, Yes, confirm
from nm_agents.cli.options import Json, Timeout
from nm_agents.cli.screen import figures
from nm_agents.cli.screen.console import say, screen, show
from nm_agents.cli.screen.entries import pairs
from nm_agents.cli.screen.printable import as_json, cell, first_bytes, printable
from nm_agents.cli.screen.table import table
from nm_broker.answers import Message
from nm_broker.management import ManagementApi
from nm_bus.boundary import Unreadable, attempt
from nm_bus.codec import Rejected, decode
from nm_bus.errors import RefusedError
from nm_bus.messages import Quarantined, Seconds
from nm_bus.topology import DEAD, PEER_BYTES, vhost

dead = typer.Typer(help="Messages that were refused.", no_args_is_help=True)

MOST = 200
"""So many are looked at in one go: an answer of some 2 MB."""

LONGEST = 32_768
"""Bytes of a record that are fetched: it holds at most 4 KiB of a message, and short texts."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A refused message; without a record when what lies there is none of ours."""

    at: Seconds = 0.0
    record: Quarantined | None = None

    def data(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {"at": self.at, "record": msgspec.to_builtins(self.record)}


Limit = Annotated[
    int,
    typer.Option("--limit", metavar="N", min=1, max=MOST, help="Show at most N, the oldest first."),
]


@dead.command("list", short_help="Which are kept, the oldest first.")
def list_dead(
    *, config: SupernodeFile, limit: Limit = 50, json: Json = False, timeout: Timeout = 10.0
) -> None:
    """List the refused messages that this supernode's broker keeps, the oldest first; none is lost.

    To see them as they are refused, everywhere: nm-bus tail dead. Times are UTC.

    Example: nm-bus dead list --config supernode.toml

    Exit codes: 0 listed (none, too), 2 something to correct, 3 the broker does not answer.
    """
    settings, api = opened(config, timeout)
    found = kept(api, vhost(settings.project), limit)
    if json:
        say(as_json([one.data() for one in found], indent=True))
    elif found:
        _show(found)
    else:
        say("no refused message is kept here")


@dead.command("show", short_help="One of them whole.")
def show_dead(
    number: Annotated[
        int, typer.Argument(metavar="N", min=1, max=MOST, help="Its number in `dead list`.")
    ],
    *,
    config: SupernodeFile,
    json: Json = False,
    timeout: Timeout = 10.0,
) -> None:
    """Show one refused message: why, by whom, where to, and how it begins.

    Example: nm-bus dead show 1 --config supernode.toml

    Exit codes: 0 shown, 2 there is none or something to correct, 3 the broker does not answer.
    """
    settings, api = opened(config, timeout)
    found = kept(api, vhost(settings.project), number)
    if len(found) < number:
        raise RefusedError(
            f"there is no message {number}: {len(found)} are kept; see `nm-bus dead list`"
        )
    one = found[number - 1]
    if json:
        say(as_json(one.data(), indent=True))
        return
    told = one.data()["record"] or {"reason": "not a record of nm-bus"}
    begins = {"first": first_bytes(one.record.first, 1_000)} if one.record else {}
    show(screen(), pairs({"at": figures.date(one.at), **told, **begins}))


@dead.command("purge", short_help="Throw them away.")
def purge(
    *,
    config: SupernodeFile,
    yes: Yes = False,
    dry_run: DryRun = False,
    timeout: Timeout = 10.0,
) -> None:
    """Throw away all refused messages that this supernode's broker keeps.

    Example: nm-bus dead purge --config supernode.toml --yes

    Exit codes: 0 they are gone, 1 it was not confirmed, 2 something to correct, 3 the broker does
    not answer.
    """
    settings, api = opened(config, timeout)
    count = api.depths(vhost(settings.project)).get(DEAD, 0)
    what = f"about {figures.plural(count, 'refused message')} of {settings.node} will be lost"
    confirm(what, yes=yes, dry_run=dry_run)
    api.delete("queues", vhost(settings.project), DEAD, "contents")
    say(f"the refused messages of {settings.node} are gone")


def kept(api: ManagementApi, where: str, count: int) -> list[Kept]:
    """The oldest messages of the queue, which goes on holding them."""
    wanted = {
        "count": count,
        "ackmode": "ack_requeue_true",
        "encoding": "base64",
        "truncate": LONGEST,
    }
    found = api.post(tuple[Message, ...], wanted, "queues", where, DEAD, "get")
    return [_read(one) for one in found]


def _read(message: Message) -> Kept:
    body = attempt(lambda: base64.b64decode(message.payload))
    if isinstance(body, Unreadable):
        return Kept()
    event = decode(body, limit=PEER_BYTES)
    if isinstance(event, Rejected) or not isinstance(event.data, Quarantined):
        return Kept()
    return Kept(event.time.timestamp(), event.data)


def _show(found: list[Kept]) -> None:
    rows = table("", "refused", "by", "reason", "to", "size", "why")
    for number, one in enumerate(found, 1):
        rows.add_row(cell(str(number)), *(cell(text) for text in _cells(one)))
    show(screen(), rows)


def _cells(one: Kept) -> tuple[str, ...]:
    record = one.record
    if record is None:
        return "-", "-", "not a record of nm-bus", "-", "-", ""
    to = f"{record.exchange} {record.key}"
    size = figures.size(record.size)
    why = printable(record.detail)
    return figures.date(one.at), record.who or "unknown", record.reason, to, size, why
