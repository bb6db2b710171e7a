"""When a file is finished: it has no name of something temporary, and has rested for a while.

Pure: how files look comes in, with the time. Whoever writes a file tells nobody when it is done.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from nm_bus.messages import Seconds


@dataclass
class Rest:
    """Tells which files still change: one that looked the same for `length` seconds rests."""

    length: Seconds
    _since: dict[str, tuple[Hashable, Seconds]] = field(default_factory=dict)

    def restless(self, looks: Mapping[str, Hashable], now: Seconds) -> frozenset[str]:
        """Take how each file looks now (None: it is not there); gives those that do not rest."""
        self._since = {name: self._seen(name, look, now) for name, look in looks.items()}
        return frozenset(n for n, (_, since) in self._since.items() if now - since < self.length)

    def _seen(self, name: str, look: Hashable, now: Seconds) -> tuple[Hashable, Seconds]:
        before = self._since.get(name)
        return before if before is not None and before[0] == look else (look, now)


BEGINNINGS = (".", "#", "~")
ENDINGS = ("~", "#", ".swp", ".swo", ".swx", ".tmp", ".temp", ".part", ".filepart", ".crdownload")
INSIDE = ("___jb_",)
PROBES = frozenset({"4913", "lost+found"})
"""What vim tries a folder with, and what file systems keep in theirs."""


def is_temporary(name: str) -> bool:
    """Whether a name is one that editors and copying programs give to what is not finished."""
    return (
        name in PROBES
        or name.startswith(BEGINNINGS)
        or name.endswith(ENDINGS)
        or any(part in name for part in INSIDE)
    )
