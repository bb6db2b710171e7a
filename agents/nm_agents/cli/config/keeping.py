"""What is said of members that keep a component's documents, and waiting until they have one."""

from collections.abc import Iterable

from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import printable
from nm_agents.cli.waiting import looked
from nm_bus.client import Client
from nm_bus.client.federation.documents import kept_components, missing
from nm_bus.messages import MemberView, NodeId, Seconds

SHOWN = 10
"""So many names are said at most."""


def why_nobody(component: str, members: Iterable[MemberView]) -> str:
    """A sentence when no member keeps documents of a component; empty when one does."""
    known = kept_components(members)
    if component in known:
        return ""
    others = f"members keep those of: {_some(known)}" if known else "members keep none at all"
    return f"no member keeps documents of {printable(component)}; {others}"


def _some(names: Iterable[str]) -> str:
    first = sorted(names)
    more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    return ", ".join(printable(name) for name in first[:SHOWN]) + more


def still_missing(client: Client, key: str, revision: int, *, wait: Seconds) -> list[NodeId]:
    """Who has not got it after `wait` seconds."""
    return looked(
        lambda: missing(client.status().members, key, revision), lambda late: not late, wait
    )


def in_words(late: list[NodeId], wait: Seconds) -> str:
    """What to say of those who have not got it."""
    if not late:
        return "every member that has documents of the component runs it"
    return f"{plural(len(late), 'member')} without it after {wait:g} s: {_some(late)}"
