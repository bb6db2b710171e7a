"""What fake supernodes see of a federation, and what they answer when they are asked for it."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from nm_bus.codes import UNKNOWN_NODE
from nm_bus.messages import (
    Alert,
    Answer,
    Ask,
    FeedNumbers,
    LinkState,
    MemberView,
    NodeDetail,
    NodeId,
    Overview,
    Query,
    Seconds,
    SupernodeView,
)

PAGE = 3
"""So many members fit an answer: few, so that every picture comes in pages."""


@dataclass
class Sight:
    """What the supernodes see of the federation; a test says it. `answers` may say more: it is
    given a Query or an Ask, and gives the data of the answer, or None."""

    members: tuple[MemberView, ...] = ()
    supernodes: tuple[SupernodeView, ...] = ()
    links: tuple[LinkState, ...] = ()
    alerts: tuple[Alert, ...] = ()
    feeds: FeedNumbers | None = None
    now: Seconds = 0.0
    answers: Callable[[Query | Ask], object | None] = lambda _message: None

    def answer(self, node: NodeId, message: Query | Ask) -> Answer:
        """What a supernode says."""
        found = self.answers(message)
        if found is None:
            found = self._known(node, message)
        if found is None:
            return Answer("", False, UNKNOWN_NODE, f"{message.node} is no known node")
        return Answer("", True, data=msgspec.to_builtins(found))

    def _known(self, node: NodeId, message: Query | Ask) -> object | None:
        match message:
            case Query("status", page=page):
                pages = max(1, -(-len(self.members) // PAGE))
                members = self.members[page * PAGE : (page + 1) * PAGE]
                more = self.supernodes, self.links, self.alerts, self.feeds
                return Overview(node, self.now, page, pages, members, *more)
            case Query("node"):
                views = (m for m in self.members if m.state.node == message.node)
                view = next(views, None)
                return view and NodeDetail(view, {})
            case Query("alerts"):
                return {"alerts": self.alerts}
            case Query("time"):
                return {"now": self.now}
        return None
