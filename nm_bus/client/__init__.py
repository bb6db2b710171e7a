"""What a component imports."""

from nm_bus.client.client import Client
from nm_bus.client.following import Quiet
from nm_bus.client.locks import Held
from nm_bus.client.published import Published
from nm_bus.client.updates import Snapshot, Updates
from nm_bus.core.ledger.follower import NOWHERE, Place
from nm_bus.documents import content_of

__all__ = [
    "NOWHERE",
    "Client",
    "Held",
    "Place",
    "Published",
    "Quiet",
    "Snapshot",
    "Updates",
    "content_of",
]
