"""Which members keep a component's documents, as far as they tell, and waiting until they have one.

A member tells what it runs, not what it would keep: one without any document of a component is not
seen here to keep it.
"""

from collections.abc import Iterable

from nm_agents.cli.bus import Bus
from nm_agents.cli.overview import fetch
from nm_agents.cli.screen.figures import plural
from nm_agents.cli.screen.printable import printable
from nm_agents.cli.waiting import looked
from nm_bus.documents.names import PREFIX, named
from nm_bus.messages import MemberView, NodeId, Seconds

SHOWN = 10
"""So many names are said at most."""


def kept_components(members: Iterable[MemberView]) -> set[str]:
    """The components that members have documents of, or trouble with."""
    return {named(key)[0] for member in members for key in _keys(member) if key.startswith(PREFIX)}


def _keys(member: MemberView) -> set[str]:
    running = member.state.running
    return {*running.documents, *running.troubles} if running else set()


def why_nobody(component: str, members: Iterable[MemberView]) -> str:
    """A sentence when no member has a document of a component; empty when one has."""
    known = kept_components(members)
    if component in known:
        return ""
    others = f"members have those of: {_some(known)}" if known else "members have none at all"
    return f"no member has a document of {printable(component)}; {others}"


def _some(names: Iterable[str]) -> str:
    first = sorted(names)
    more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
    return ", ".join(printable(name) for name in first[:SHOWN]) + more


def missing(members: Iterable[MemberView], key: str, revision: int) -> list[NodeId]:
    """The members that have documents of the key's component, and not this revision of it."""
    component, _ = named(key)
    return [
        member.state.node
        for member in members
        if component in kept_components([member]) and _revision(member, key) < revision
    ]


def _revision(member: MemberView, key: str) -> int:
    """What it runs; something that went wrong with the document means that it does not run it."""
    running = member.state.running
    if running is None or key in running.troubles:
        return 0
    return running.documents.get(key, 0)


def still_missing(
    bus: Bus, key: str, revision: int, *, wait: Seconds, timeout: Seconds
) -> list[NodeId]:
    """Who has not got it after `wait` seconds."""
    return looked(
        lambda: missing(fetch(bus, timeout).members, key, revision), lambda late: not late, wait
    )


def in_words(late: list[NodeId], wait: Seconds) -> str:
    """What to say of those who have not got it."""
    if not late:
        return "every member that has documents of the component runs it"
    return f"{plural(len(late), 'member')} without it after {wait:g} s: {_some(late)}"
