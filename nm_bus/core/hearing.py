"""The links that end here, judged by the canaries that come out of them.

Pure. The sender's clock only serves to estimate a delay; whether a link works is judged by when
its canaries arrive, by the hearer's own clock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nm_bus.core import skew
from nm_bus.core.links import LinkHealth
from nm_bus.messages import Canary, LinkState, NodeId, Seconds

LinkEnd = tuple[NodeId, str]
"""The source of a link and its kind."""


@dataclass(slots=True)
class HeardSince:
    """The last canary of a link: when it arrived, and its two clocks' difference."""

    at: Seconds | None = None
    difference: Seconds | None = None
    moved: int = 0


@dataclass(slots=True)
class Hearing:
    """All links that end at one supernode. `limit` is how old a canary may grow, in seconds."""

    origin: NodeId
    limit: Seconds
    ends: dict[LinkEnd, HeardSince] = field(default_factory=dict)

    def expect(self, links: Iterable[LinkEnd]) -> None:
        """These links should be heard."""
        for link in links:
            self.ends.setdefault(link, HeardSince())

    def canary(self, link: LinkEnd, canary: Canary, now: Seconds) -> None:
        """A canary came out of a link; one of a link that is not expected is ignored."""
        heard = self.ends.get(link)
        if heard is not None:
            heard.at, heard.difference = now, skew.told(now - canary.sent)
            heard.moved += 1

    def states(self, now: Seconds) -> Iterator[LinkState]:
        """Each link as it is heard here."""
        for (source, kind), heard in self.ends.items():
            state, reason = _judge(heard, self.limit, now)
            age = None if heard.at is None else now - heard.at
            yield LinkState(
                source=source,
                destination=self.origin,
                kind=kind,
                state=state,
                reason=reason,
                delay=heard.difference,
                moved=heard.moved,
                heard=age,
            )


def _judge(heard: HeardSince, limit: Seconds, now: Seconds) -> tuple[LinkHealth, str]:
    if heard.at is None:
        return LinkHealth.STARTING, "no canary has come yet"
    if now - heard.at > limit:
        return LinkHealth.SILENT, f"no canary came for over {limit:g} s"
    return LinkHealth.RUNNING, ""
