"""What publishing a folder tells of: one thing that happened to one document."""

from dataclasses import dataclass
from enum import StrEnum


class FileEvent(StrEnum):
    """What became of a document."""

    PUT = "put"
    DELETED = "deleted"
    ACCEPTED = "accepted, not agreed yet"
    UNKNOWN = "not known to be accepted"
    REFUSED = "refused"
    WELL = "well"
    WOULD_PUT = "would put"
    WOULD_DELETE = "would delete"


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened: `revision` where something was agreed, `lines` of a diff."""

    what: FileEvent
    key: str
    text: str = ""
    revision: int = 0
    lines: tuple[str, ...] = ()
