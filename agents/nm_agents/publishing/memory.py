"""What a folder last saw of its documents in the ledger, kept in a hidden file of the folder.

It lies in the folder so that it goes where that goes: an empty folder knows of nothing that it
could delete, and a copy on another machine knows what the first one saw.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.core.publishing import Base
from nm_bus.errors import ConfigError, StorageError
from nm_bus.files.atomic import replace_file
from nm_bus.messages.base import Nested

FILE = ".nm-bus-published.json"


class RememberedFile(Nested, frozen=True):
    """The file."""

    project: str
    documents: dict[str, Base] = {}  # noqa: RUF012  # a struct's default is copied


@dataclass
class PublishingMemory:
    """The bases by key. `save` writes them durably if they changed; without a file, never."""

    project: str
    file: Path | None = None
    documents: dict[str, Base] = field(default_factory=dict)
    _saved: dict[str, Base] = field(default_factory=dict)

    def save(self) -> None:
        """Make it durable. Raises StorageError."""
        if self.file is None or self.documents == self._saved:
            return
        kept = RememberedFile(self.project, dict(sorted(self.documents.items())))
        try:
            text = msgspec.json.format(msgspec.json.encode(kept), indent=1)
            replace_file(self.file, text + b"\n", mode=0o644)
        except OSError as error:
            raise StorageError(f"{self.file}: cannot be written: {error.strerror}") from None
        self._saved = dict(self.documents)


def remembered(folder: Path, project: str, *, writes: bool = True) -> PublishingMemory:
    """What a folder knows. Raises ConfigError for a damaged file, or one of another project."""
    file = folder / FILE
    fix = "remove it: documents that are equal here and in the ledger are then known again"
    try:
        text = file.read_bytes()
        kept = attempt(lambda: msgspec.json.decode(text, type=RememberedFile))
    except FileNotFoundError:
        kept = RememberedFile(project)
    except OSError as error:
        raise ConfigError(file, f"cannot be read: {error.strerror}", fix) from None
    if isinstance(kept, Unreadable):
        raise ConfigError(file, kept.reason, fix)
    if kept.project != project:
        what = f"this folder publishes for the project {kept.project}, not for {project}"
        raise ConfigError(file, what, "give another folder, or other settings")
    return PublishingMemory(
        project, file if writes else None, dict(kept.documents), dict(kept.documents)
    )
