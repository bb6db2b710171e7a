"""What is kept of a refused message."""

from nm_bus.messages.base import Data


class Quarantined(Data, frozen=True):
    """A message that was refused: its first 4 KiB (base64), the whole's sha256, who, why."""

    reason: str
    detail: str
    who: str
    exchange: str
    key: str
    size: int
    sha256: str
    first: str
