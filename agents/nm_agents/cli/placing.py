"""Files put in place for another program: never over what somebody else wrote, owned as fits.

What stands in them is decided elsewhere.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nm_bus.errors import ConfigError
from nm_bus.files.atomic import replace_file

OPEN = 0o644
SECRET = 0o600


@dataclass(frozen=True, slots=True)
class Placed:
    """A file, where it goes, and who may read it: everybody, or its owner alone."""

    path: Path
    content: bytes
    mode: int = OPEN

    @property
    def is_secret(self) -> bool:
        """Whether it must not be shown."""
        return self.mode == SECRET


def place(files: Sequence[Placed], *, force: bool = False) -> None:
    """Write files, all of them or none, each whole at once.

    Raises ConfigError when one is there already with other content, unless forced to overwrite it.
    """
    for file in files:
        if not force and _differs(file):
            raise ConfigError(file.path, "is there already", "--force overwrites it")
    for file in files:
        try:
            _put(file)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise ConfigError(file.path, what, "see the folder's owner, or run as root") from None


def _differs(file: Placed) -> bool:
    try:
        return file.path.exists() and file.path.read_bytes() != file.content
    except OSError as error:
        raise ConfigError(file.path, f"cannot be read: {error.strerror}", "run as root") from None


def _put(file: Placed) -> None:
    folder = file.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(file.path, file.content)
    if os.geteuid() == 0:
        # root writes for the program that the folder belongs to
        owner = folder.stat()
        os.chown(file.path, owner.st_uid, owner.st_gid)
    file.path.chmod(file.mode)
