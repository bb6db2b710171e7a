"""`Client`: what a component or a person sees of a project: its ledger, and the federation.

It asks whichever supernode answers. One thread at a time may use a client; what it hands out to
follow (`updates`, `alerts`, `tail`) has connections of its own, each again for one thread.
"""

from pathlib import Path
from typing import Any

from nm_bus.client.alerts import AlertFeed, AlertMemory, Recent
from nm_bus.client.asking import MAY_PASS
from nm_bus.client.federation.changes import PictureChanges
from nm_bus.client.federation.picture import FederationQuestions, Picture
from nm_bus.client.following import QueueFollowing
from nm_bus.client.ledger import LedgerClient
from nm_bus.messages import (
    Alert,
    DomainKey,
    NodeDetail,
    NodeId,
    Seconds,
    Severity,
    Subscribe,
    Tail,
)
from nm_bus.settings import timing


class Client(LedgerClient):
    """A component's or a person's way to the project of its settings; use it by `with`.

    The settings are a file's path, or what was read of one. Their certificate decides who it is
    and what it may do. Every question is asked at one supernode after another until one answers
    it, for at most `timeout` seconds; then the most telling error is raised (see `nm_bus.errors`).
    Raises ConfigError for the own settings. `said` is called with a sentence when a supernode lets
    a question wait. With `rounds`, all supernodes are asked so often at most. `connect` gives
    another carrier than the brokers, as `nm_bus.testing.project` does.
    """

    @property
    def _questions(self) -> FederationQuestions:
        return FederationQuestions(self._asking, self.timeout, self._said)

    def status(self) -> Picture:
        """What a supernode knows of all members, supernodes, links and alerts, the worst first.

        What follows from it (who is behind, whether changes can be agreed, in one word how all
        is) is in `nm_bus.client.federation`.
        """
        return self._questions.picture()

    def changes(self, every: Seconds = 2.0) -> PictureChanges:
        """Follow the federation: the whole of it, then what changes. It asks over this client,
        every so many seconds, and so for its thread alone."""
        return PictureChanges(self.status, every)

    def node(self, node: NodeId) -> NodeDetail:
        """One node with its properties and metrics. Raises RefusedError when nobody knows it."""
        return self._questions.node(node)

    def ask(self, node: NodeId, what: str, check: str = "") -> dict[str, Any]:
        """Ask a member itself: for its `status`, its `metrics`, or to run a `check` of a name.

        It is asked through its home where the settings name that one: the shortest way, and a slow
        member is not asked again through another supernode.
        """
        home = self.node(node).member.home
        if home not in self.supernodes:
            return self._questions.ask(node, what, check)
        try:
            return self.at(home)._questions.ask(node, what, check)
        except MAY_PASS as error:
            away = f"{home}, the home of {node}, does not answer"
            raise type(error)(f"{away}: {error}; see `nm-bus top {node}`") from None

    def clock(self) -> Seconds | None:
        """What a supernode's clock says, in seconds since 1970; None when it does not say."""
        return self._questions.clock()

    def active_alerts(self, under: DomainKey = "") -> list[Alert]:
        """The alerts of a site, or all, whose condition holds now, the most severe first."""
        return self._questions.alerts(under)

    def alerts(
        self,
        name: str = "",
        severities: tuple[Severity, ...] = (),
        under: tuple[DomainKey, ...] = (),
        *,
        remembered: Path | None = None,
    ) -> AlertFeed:
        """Follow alerts, each transition once: see `nm_bus.client.alerts`.

        The queue of this name keeps them while nobody reads; empty severities and sites mean all.
        With a file in which is `remembered` what was given, none comes twice after a restart
        either; one program at a time may use it.
        """
        memory = Recent() if remembered is None else _memory(remembered)
        following = self._follow(Subscribe(name, severities, under))
        return AlertFeed(following, memory, self._said)

    def tail(self, exchange: str, key: str = "#") -> QueueFollowing:
        """Follow copies of live messages of an exchange at every supernode (administrators)."""
        return self._follow(Tail(exchange, key))

    def _follow(self, message: Subscribe | Tail) -> QueueFollowing:
        peers, times = self.settings.supernodes, timing(self.settings)
        return QueueFollowing(peers, self._carrier.line, message, times)


def _memory(file: Path) -> AlertMemory:
    # locks files, which not every system can that components run on
    from nm_bus.client.alert_memory import AlertFile  # noqa: PLC0415

    return AlertFile(file).__enter__()
