"""Queries: each `what` is answered by the part that knows it."""

from collections.abc import Mapping
from dataclasses import dataclass

from nm_agents.supernode.asker import Asker
from nm_agents.supernode.part import Part, Queried, Requested
from nm_bus.codes import BAD_REQUEST
from nm_bus.messages import Message, Query
from nm_bus.transport.base import Transport


@dataclass(slots=True)
class QueriesPart(Part):
    """`known` has the queries of all parts, by `what`."""

    transport: Transport
    known: Mapping[str, Queried]

    def requests(self) -> dict[type[Message], Requested]:
        """Query."""
        return {Query: self._query}

    def _query(self, query: Query, asker: Asker) -> None:
        now = self.transport.now()
        if query.what == "time":
            asker.reply({"now": now})
        elif query.what in self.known:
            self.known[query.what](query, asker, now)
        else:
            *names, last = sorted({*self.known, "time"})
            known = f"{', '.join(names)} or {last}"
            asker.refuse(BAD_REQUEST, f"what is {query.what!r}; use {known}")
