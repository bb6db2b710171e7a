"""How a TOML file that people write is read: its text, its tables, and what is wrong with them."""

import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from nm_bus.boundary import Unreadable, attempt
from nm_bus.errors import ConfigError
from nm_bus.wording import in_words

TEXT = "utf-8-sig"
"""How a file that people write is read: UTF-8, whose byte order mark Windows editors write."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of a settings file. A key that is not known is an error, never ignored."""


S = TypeVar("S", bound=Section)


def toml(path: Path) -> dict[str, Any]:
    """Read a file as TOML, with or without a byte order mark; raises ConfigError."""
    try:
        text = path.read_text(encoding=TEXT)
    except FileNotFoundError:
        raise ConfigError(path, "the file is not there", "check the path") from None
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", "see its owner") from None
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is no UTF-8"
        raise ConfigError(path, what, "save it in UTF-8") from None
    read = attempt(lambda: tomllib.loads(text))
    if isinstance(read, Unreadable):
        raise ConfigError(path, f"is no TOML: {read.reason}")
    return read


def checked(raw: object, kind: type[S], path: Path) -> S:
    """Give decoded TOML its form, which is a Section; raises ConfigError."""
    anchored = partial(_path, path.absolute().parent)
    read = attempt(lambda: _converted(raw, kind, anchored))
    if isinstance(read, Unreadable):
        raise ConfigError(path, read.reason)
    if isinstance(read, str):
        raise ConfigError(path, in_words(read), "`nm-bus files settings` has examples")
    return read


def _converted(raw: object, kind: type[S], dec_hook: Callable[[type, object], Path]) -> S | str:
    try:
        return msgspec.convert(raw, kind, strict=True, dec_hook=dec_hook)
    except msgspec.ValidationError as error:
        return str(error)


def _path(folder: Path, kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{type(value).__name__}`")
    if "\0" in value:
        raise ValueError("holds a character that no path can have")
    return folder / expanded(value)


def expanded(text: str) -> Path:
    """A path in which `~` is the home folder; raises ConfigError where there is none."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(text, "there is no home folder here", "give the path in full") from None
