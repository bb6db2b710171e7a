"""Why documents were refused: told once, and kept in a file beside each until it is well."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nm_agents.publishing.scanning import Found, reason_path
from nm_agents.publishing.told import FileEvent, Happened


@dataclass
class Reasons:
    """What is refused, by key. Without `writes`, it is only told."""

    root: Path
    tell: Callable[[Happened], None]
    writes: bool
    refused: dict[str, str] = field(default_factory=dict)

    def show(self, found: Found, refused: dict[str, str]) -> None:
        """From now on this is refused, and nothing else."""
        for key, reason in refused.items():
            if self.refused.get(key) != reason:
                self.tell(Happened(FileEvent.REFUSED, key, reason))
        for key in sorted(self.refused.keys() - refused.keys()):
            self.tell(Happened(FileEvent.WELL, key))
        if self.writes:
            self._write(found, refused)
        self.refused = refused

    def _write(self, found: Found, refused: dict[str, str]) -> None:
        # a name too long for a reason file, or a folder that may not be written: it was told
        for key, reason in refused.items():
            if key not in found.reasons or self.refused.get(key) != reason:
                with suppress(OSError):
                    reason_path(self.root, key).write_text(f"{reason}\n")
        for key in found.reasons - refused.keys():
            with suppress(OSError):
                reason_path(self.root, key).unlink(missing_ok=True)
