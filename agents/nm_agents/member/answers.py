"""What a member answers when its supernode asks: its status, its metrics, a check run now."""

from collections.abc import Callable
from functools import partial

from nm_agents.member.checks import Checks
from nm_agents.member.inbox import Reply
from nm_bus.core.agent import Agent
from nm_bus.core.nagios import PluginVerdict, series
from nm_bus.messages import Ask, Check

Told = dict[str, object]


class AskAnswers:
    """Answers each Ask with one Report, at once or when the check has run."""

    def __init__(
        self,
        agent: Agent,
        checks: Checks,
        *,
        status: Callable[[], Told],
        metrics: Callable[[], Told],
    ) -> None:
        self._agent, self._checks = agent, checks
        self._status, self._metrics = status, metrics

    def asked(self, ask: Ask, reply: Reply) -> None:
        """Answer; what cannot be answered is refused in one sentence."""
        match ask.what:
            case "status":
                reply(self._agent.report(ask.request, self._status()))
            case "metrics":
                reply(self._agent.report(ask.request, self._metrics()))
            case "check":
                self._run(ask, reply)
            case _:
                error = f"cannot answer {ask.what[:64]!r}; ask for status, metrics or check"
                reply(self._agent.refusal(ask.request, error))

    def _run(self, ask: Ask, reply: Reply) -> None:
        if ask.check not in self._checks.names:
            known = ", ".join(self._checks.names) or "none"
            error = f"no check is named {ask.check[:64]!r}; there are: {known}"
            reply(self._agent.refusal(ask.request, error[:1000]))
        elif not self._checks.ask(ask.check, partial(self._ran, ask, reply)):
            reply(self._agent.refusal(ask.request, "too many checks are asked for; ask again"))

    def _ran(self, ask: Ask, reply: Reply, verdict: PluginVerdict) -> None:
        values, _ = series(ask.check, verdict.values)
        told = check_told(self._agent.checks[ask.check]) | {"values": values}
        reply(self._agent.report(ask.request, told))


def check_told(check: Check) -> Told:
    """A check's last result, as it is told in answers and in the state file."""
    return {
        "name": check.name,
        "status": check.status,
        "output": check.output,
        "since": check.since,
    }
