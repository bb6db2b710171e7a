"""What happens in the demonstration, told as it happens, every sentence checked.

Each act does something to the federation, waits for what must follow, and notes what it verified.
"""

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from nm_bus.messages import AlertState, Health, NodeId, Seconds
from nm_lab.demo.agreeing import LedgerStory
from nm_lab.demo.plot import CHECK, SUPERNODES, members, state_file
from nm_lab.federation.building import Federation
from nm_lab.federation.eyes import AlertWatch, Eyes, UntrueError, wait_for

RAISED, RESOLVED = AlertState.RAISED, AlertState.RESOLVED

OUTAGE: Seconds = 15.0
"""How long the broker is away."""

FIRST, SECOND, THIRD = SUPERNODES


@dataclass(frozen=True, slots=True)
class Verified:
    """One sentence that was found true, with its figure."""

    what: str
    figure: str


@dataclass
class Story:
    """The acts. `tell` says a sentence, `hold` shows what is being waited for."""

    federation: Federation
    eyes: Eyes
    alerts: AlertWatch
    tell: Callable[[str], None]
    hold: Callable[[str], None]
    verified: list[Verified] = field(default_factory=list)

    def play(self) -> None:
        """All acts, in order; raises UntrueError at the first thing that is not as it should be."""
        self.members_report()
        self.check_turns_critical()
        self.member_is_killed()
        self.broker_stops()
        LedgerStory(self.federation, self.eyes, self.tell, self._wait, self._note).play()
        self.each_alert_once()

    # --- the acts

    def members_report(self) -> None:
        """Every supernode knows every member, whichever it reports to."""
        self.tell("Twelve members report to three supernodes, which tell each other.")
        for supernode in SUPERNODES:
            self._wait(
                f"{supernode} sees all members alive", partial(self._not_alive, supernode), 60
            )
            self._wait(f"{supernode} sees all links run", partial(self._not_running, supernode), 60)
        links = len(self.eyes.overview(FIRST).links)
        self._note("every supernode sees every member alive", f"3 x {len(members())} members")
        self._note("every link moves messages", f"{links} links")

    def check_turns_critical(self) -> None:
        """A check turns critical, and well again."""
        node = _member_of(FIRST, 0)
        self.tell(f"On {node} the self-check {CHECK!r} turns critical.")
        seconds = self._trouble(
            f"check-critical of {node}",
            partial(self._write_state, node, "CRITICAL"),
            lambda: self.alerts.of("check-critical", node, RAISED),
        )
        self._note("a critical check is an alert", f"after {seconds:.1f} s")
        self.tell("It is well again.")
        seconds = self._trouble(
            f"the end of check-critical of {node}",
            partial(self._write_state, node, "OK"),
            lambda: self.alerts.of("check-critical", node, RESOLVED),
        )
        self._note("and resolved when the check is well", f"after {seconds:.1f} s")

    def member_is_killed(self) -> None:
        """A member is killed, called down, and comes back."""
        node = _member_of(THIRD, 1)
        self.tell(f"{node} is killed (kill -9).")
        begun = time.monotonic()
        process = self.federation.member(node)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self._wait(f"{node} is late at once", partial(self._not_late, node), 5)
        reason = self.eyes.member(FIRST, node).reason
        self._note("a killed member is late at once", f"{reason}, seen at another supernode")
        self._wait(
            f"member-down of {node}",
            lambda: "" if self.alerts.of("member-down", node, RAISED) else "no alert yet",
            60,
        )
        seconds = time.monotonic() - begun
        self._note("a killed member is down", f"after {seconds:.1f} s (three intervals are 6 s)")
        self.tell("It is started again.")
        seconds = self._trouble(
            f"the end of member-down of {node}",
            partial(self.federation.start_member, node),
            lambda: self.alerts.of("member-down", node, RESOLVED),
        )
        self._note("and resolved when it is back", f"after {seconds:.1f} s")

    def broker_stops(self) -> None:
        """A broker is away for a while: doubt, not death; and nothing that was measured is lost."""
        mine = [node for node, home in members().items() if home == SECOND]
        before = len(self.alerts.shown)
        self.tell(f"The broker of {SECOND} is stopped for {OUTAGE:g} s.")
        self.federation.running[SECOND].stop()
        begun = time.monotonic()
        for supernode in (FIRST, THIRD):
            self._wait(
                f"{supernode} holds the members of {SECOND} for unknown",
                partial(self._not_unknown, supernode, mine),
                OUTAGE,
            )
            self._wait(
                f"{supernode} holds the links from {SECOND} for unknown",
                partial(self._not_doubted, supernode),
                OUTAGE,
            )
        reason = self.eyes.member(FIRST, mine[0]).reason
        self._note(f"members of {SECOND} are unknown, not down", f"{len(mine)}: {reason}")
        self._note(f"and so are the links from {SECOND}", "4 links, with the same reason")
        self._critical_meanwhile()
        while (left := OUTAGE - (time.monotonic() - begun)) > 0:
            self.hold(f"the broker of {SECOND} is away for another {left:.0f} s")
            time.sleep(min(left, 0.5))
        self.tell(f"The broker of {SECOND} comes back.")
        back = time.monotonic()
        self.federation.start_broker(SECOND)
        self._wait("all members are alive again", partial(self._not_alive, FIRST), 60)
        self._wait("all links run again", partial(self._not_running, FIRST), 60)
        self._note("everything is alive again", f"{time.monotonic() - back:.1f} s after the start")
        downs = [a for a in self.alerts.shown[before:] if a.kind == "member-down"]
        if downs:
            raise UntrueError(f"called down while their broker was away: {downs[0].summary}")
        self._note("no member was called down meanwhile", "0 false alarms")
        self._nothing_lost(mine)

    def each_alert_once(self) -> None:
        """Every alert was shown once, and every one that was raised is resolved."""
        wanted = [("supernode-silent", SECOND), ("check-critical", _member_of(FIRST, 1))]
        for kind, subject in wanted:
            self._wait(
                f"{kind} of {subject} is over",
                partial(self._not_resolved, kind, subject),
                60,
            )
        self._wait("no alert is active", self._still_active, 60)
        shown = [alert.transition for alert in self.alerts.shown]
        if len(set(shown)) != len(shown):
            raise UntrueError("an alert was shown twice")
        raised = [a.alert for a in self.alerts.shown if a.state is RAISED]
        resolved = [a.alert for a in self.alerts.shown if a.state is RESOLVED]
        if sorted(raised) != sorted(resolved):
            raise UntrueError(f"{len(raised)} alerts were raised and {len(resolved)} resolved")
        self._note("each alert was raised once and resolved once", f"{len(raised)} alerts")

    # --- what they are made of

    def _critical_meanwhile(self) -> None:
        node = _member_of(FIRST, 1)
        self.tell(f"Meanwhile a check on {node} turns critical: is that heard?")
        self._trouble(
            f"check-critical of {node}",
            partial(self._write_state, node, "CRITICAL"),
            lambda: self.alerts.of("check-critical", node, RAISED),
        )
        self._write_state(node, "OK")
        self._note("an alert during the outage is heard", "by way of the other supernodes")

    def _nothing_lost(self, nodes: list[NodeId]) -> None:
        total = 0
        for node in nodes:
            self._wait(f"all that {node} measured has arrived", partial(self._lost, node), 60)
            total += self.eyes.member(FIRST, node).sampled
        self._note("no spooled metric was lost", f"{total} measurements, each arrived once")

    def _lost(self, node: NodeId) -> str:
        """What a member measured and its supernode did not take; what is on its way comes yet."""
        before = self.eyes.member(FIRST, node)
        measured, waiting = self.eyes.measured(node)
        after = self.eyes.member(FIRST, node)
        if after.unsampled or waiting:
            return f"{after.unsampled} measurements missing, {waiting} waiting in the spool"
        if not before.sampled <= measured <= after.sampled + 1:
            return f"{measured} measured, {after.sampled} arrived"
        return ""

    def _trouble(
        self, what: str, act: Callable[[], object], shown: Callable[[], Sequence[object]]
    ) -> Seconds:
        known, begun = len(shown()), time.monotonic()
        act()
        self._wait(what, lambda: "" if len(shown()) > known else "no alert yet", 60)
        return time.monotonic() - begun

    def _write_state(self, node: NodeId, state: str) -> None:
        state_file(self.federation.plan.folder, node).write_text(f"{state}\n")

    def _not_alive(self, supernode: NodeId) -> str:
        seen = self.eyes.members(supernode)
        alive = [n for n, m in seen.items() if m.state.health is Health.ALIVE]
        return "" if len(alive) == len(members()) else f"{len(alive)} of {len(members())} alive"

    def _not_unknown(self, supernode: NodeId, nodes: list[NodeId]) -> str:
        seen = self.eyes.members(supernode)
        other = [node for node in nodes if seen[node].state.health is not Health.UNKNOWN]
        return f"{other[0]} is {seen[other[0]].state.health}" if other else ""

    def _not_running(self, supernode: NodeId) -> str:
        links = self.eyes.overview(supernode).links
        bad = [
            f"{li.source}>{li.destination} is {li.state}" for li in links if li.state != "running"
        ]
        expected = 2 * len(SUPERNODES) * (len(SUPERNODES) - 1)
        return bad[0] if bad else "" if len(links) == expected else f"{len(links)} of {expected}"

    def _not_late(self, node: NodeId) -> str:
        health = self.eyes.member(FIRST, node).health
        return "" if health in (Health.LATE, Health.DOWN) else f"{node} is {health}"

    def _not_doubted(self, supernode: NodeId) -> str:
        links = [li for li in self.eyes.overview(supernode).links if li.source == SECOND]
        sure = [li for li in links if li.state != "unknown" or not li.reason]
        return f"the link to {sure[0].destination} is {sure[0].state}" if sure else ""

    def _not_resolved(self, kind: str, subject: NodeId) -> str:
        return "" if self.alerts.of(kind, subject, RESOLVED) else "not resolved yet"

    def _still_active(self) -> str:
        active = [a.summary for n in SUPERNODES for a in self.eyes.overview(n).alerts]
        return active[0] if active else ""

    def _wait(self, what: str, holds: Callable[[], str], within: Seconds) -> None:
        self.hold(what)
        wait_for(what, holds, within)

    def _note(self, what: str, figure: str) -> None:
        self.verified.append(Verified(what, figure))


def _member_of(supernode: NodeId, number: int) -> NodeId:
    return [node for node, home in members().items() if home == supernode][number]
