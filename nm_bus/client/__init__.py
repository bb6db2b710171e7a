"""What a component imports."""

from nm_bus.client.client import Client
from nm_bus.client.documents import content_of

__all__ = ["Client", "content_of"]
