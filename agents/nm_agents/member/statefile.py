"""The agent's state as a small file, for people and for `nm-bus doctor`: whole at any moment."""

import logging
from pathlib import Path

import msgspec

from nm_bus.files.atomic import replace_file

LOGGER = logging.getLogger(__name__)


class StateFile:
    """Written by renaming a finished file over the old one. A disk that is full stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def write(self, state: dict[str, object]) -> None:
        """Replace the file."""
        text = msgspec.json.format(msgspec.json.encode(state), indent=2)
        try:
            # it is written again in a moment: not worth a wait for the disk
            replace_file(self._path, text + b"\n", mode=0o644, durable=False)
        except OSError as error:
            if not self._failed:
                LOGGER.warning("%s: cannot be written: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False
