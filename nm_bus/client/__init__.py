"""What a component imports."""

from nm_bus.client.carrier import Contact, Quiet
from nm_bus.client.client import Client
from nm_bus.client.entries import LedgerEntry, moment, of_update
from nm_bus.client.federation.changes import PictureChange, Unanswered
from nm_bus.client.federation.picture import Picture
from nm_bus.client.locks import Held
from nm_bus.client.updates import Snapshot, Updates
from nm_bus.core.ledger.follower import NOWHERE, Place
from nm_bus.documents import content_of

__all__ = [
    "NOWHERE",
    "Client",
    "Contact",
    "Held",
    "LedgerEntry",
    "Picture",
    "PictureChange",
    "Place",
    "Quiet",
    "Snapshot",
    "Unanswered",
    "Updates",
    "content_of",
    "moment",
    "of_update",
]
