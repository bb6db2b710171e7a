"""The agent's state as a small file, for people and for `nm-bus doctor`: whole at any moment."""

import logging
from pathlib import Path

import msgspec

LOGGER = logging.getLogger(__name__)


class StateFile:
    """Written by renaming a finished file over the old one. A disk that is full stops nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def write(self, state: dict[str, object]) -> None:
        """Replace the file."""
        text = msgspec.json.format(msgspec.json.encode(state), indent=2)
        half = self._path.with_suffix(".new")
        try:
            half.write_bytes(text + b"\n")
            half.replace(self._path)
        except OSError as error:
            if not self._failed:
                LOGGER.warning("%s: cannot be written: %s", self._path, error.strerror)
            self._failed = True
        else:
            self._failed = False
