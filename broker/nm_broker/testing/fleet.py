"""Private brokers that a run of tests shares."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from nm_broker.pki import Authority
from nm_broker.private import PrivateBroker, RunningBroker
from nm_broker.program import Program

PROJECT = "test"


@dataclass
class Fleet:
    """Brokers of one authority, each started when the first test needs it."""

    folder: Path
    program: Program
    authority: Authority
    running: list[RunningBroker] = field(default_factory=list)

    def take(self, count: int) -> list[RunningBroker]:
        """The first `count` brokers; those that do not run yet are started side by side."""
        missing = [self.planned(n) for n in range(len(self.running), count)]
        with ThreadPoolExecutor() as several:
            starts = [several.submit(broker.start) for broker in missing]
        self.running += [start.result() for start in starts]
        return self.running[:count]

    def planned(self, n: int) -> PrivateBroker:
        """The n-th broker, not started."""
        name = f"sn{n + 1}.example.org"
        tls = self.authority.issue(name, self.folder / "pki")
        return PrivateBroker.placed(self.folder / f"sn{n + 1}", name, PROJECT, tls, self.program)

    def end(self) -> None:
        """Nothing of theirs is kept: a clean stop would only take longer."""
        for broker in self.running:
            broker.kill()
