"""Where the command line finds its settings: the option, the environment, or the home folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nm_bus.errors import ConfigError
from nm_bus.settings import AdministratorSettings, load
from nm_bus.tables import expanded

VARIABLE = "NM_BUS_CONFIG"
USUAL = "~/.config/nm-bus/admin.toml"


def settings_path(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The settings file: what was given, else NM_BUS_CONFIG, else the usual place."""
    named = environment.get(VARIABLE)
    return given or (Path(named) if named else expanded(USUAL))


def administrator(given: Path | None) -> AdministratorSettings:
    """The settings of who asks. Raises ConfigError, which says where it looked."""
    path = settings_path(given)
    if not path.is_file():
        raise ConfigError(
            path, "no administrator's settings here", f"give --config FILE or set {VARIABLE}"
        )
    settings = load(path, AdministratorSettings)
    return msgspec.structs.replace(settings, folder=expanded(str(settings.folder)))
