"""What the commands of `nm-bus broker` share: the supernode's settings, and its broker's API."""

from pathlib import Path
from typing import Annotated

import typer

from nm_broker.management import ManagementApi
from nm_bus.settings import SupernodeSettings, load

SupernodeFile = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="The supernode's settings file.")
]


def opened(config: Path, timeout: float) -> tuple[SupernodeSettings, ManagementApi]:
    """The settings, and a client of the broker that they describe; raises ConfigError."""
    settings = load(config, SupernodeSettings)
    return settings, ManagementApi.described(settings.management, timeout)
