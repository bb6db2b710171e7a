"""The keys of a full screen, as htop and less have them: scroll, filter, sort.

What a key does is a pure function of what is looked at; the terminal is read in `Keyboard` alone.
"""

import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nm_bus.messages import Seconds

ESCAPE, ENTER, ERASE = "\x1b", frozenset("\r\n"), frozenset("\x7f\x08")
WORD = 64
"""A filter's characters at most."""


@dataclass(frozen=True, slots=True)
class PageView:
    """What of a page is looked at. `top` is its first line, `room` the lines of the screen."""

    top: int = 0
    room: int = 1
    length: int = 0
    filter: str = ""
    is_typing: bool = False
    sort: str = ""
    unhealthy: bool = False
    is_over: bool = False

    def at(self, top: int) -> "PageView":
        """The same with another first line, as far as there are lines."""
        return replace(self, top=max(0, min(top, self.length - self.room)))

    def sized(self, room: int, length: int) -> "PageView":
        """The same on a screen, or of a page, of another size."""
        return replace(self, room=max(1, room), length=length).at(self.top)


def pressed(look: PageView, key: str, orders: Sequence[str] = ()) -> PageView:
    """What is looked at once a key was pressed. `orders` are the columns that `s` goes through."""
    if look.is_typing:
        return _typed(look, key)
    if key in MOVES:
        return look.at(MOVES[key](look))
    changes: dict[str, dict[str, Any]] = {
        "q": {"is_over": True},
        "/": {"is_typing": True, "filter": ""},
        ESCAPE: {"filter": ""},
    }
    if orders:
        changes |= {
            "u": {"unhealthy": not look.unhealthy, "top": 0},
            "s": {"sort": _next(look.sort, orders)},
            "I": {"sort": inverted(look.sort)},
        }
    return replace(look, **changes.get(key, {}))


MOVES: dict[str, Callable[[PageView], int]] = {
    "j": lambda look: look.top + 1,
    "k": lambda look: look.top - 1,
    "\x1b[B": lambda look: look.top + 1,
    "\x1b[A": lambda look: look.top - 1,
    " ": lambda look: look.top + look.room,
    "\x1b[6~": lambda look: look.top + look.room,
    "\x1b[5~": lambda look: look.top - look.room,
    "g": lambda look: 0,
    "\x1b[H": lambda look: 0,
    "\x1b[1~": lambda look: 0,
    "G": lambda look: look.length,
    "\x1b[F": lambda look: look.length,
    "\x1b[4~": lambda look: look.length,
}
"""By key, as terminals send it: the first line that is wanted."""


def _typed(look: PageView, key: str) -> PageView:
    """A filter takes effect while it is typed; Enter keeps it, Escape drops it."""
    if key in ENTER:
        return replace(look, is_typing=False)
    if key == ESCAPE:
        return replace(look, is_typing=False, filter="")
    if key in ERASE:
        return replace(look, filter=look.filter[:-1])
    if len(key) == 1 and key.isprintable():
        return replace(look, filter=(look.filter + key)[:WORD], top=0)
    return look


def _next(sort: str, orders: Sequence[str]) -> str:
    """The next order; after the last one, the page's own."""
    known = ("", *orders)
    now = next((n for n, one in enumerate(known) if sort in (one, inverted(one))), 0)
    return known[(now + 1) % len(known)]


def inverted(sort: str) -> str:
    """The same column, the other way round."""
    return sort.removeprefix("-") if sort.startswith("-") else f"-{sort}" if sort else ""


def footer(look: PageView, orders: Sequence[str] = ()) -> str:
    """The last line of the screen: what is chosen, and the keys."""
    if look.is_typing:
        return f"/{look.filter}▏  Enter keeps it, Esc drops it"
    more = look.length - look.room - look.top
    parts = [f"{more} more lines"] if more > 0 else []
    parts += [f"filter: {look.filter}"] if look.filter else []
    parts += ["q end", "↑↓ scroll", "/ filter"]
    if orders:
        parts += [f"s sort: {look.sort or 'worst first'}"]
        parts += ["u all" if look.unhealthy else "u unhealthy"]
    return "  ".join(parts)


class Keyboard:
    """Keys as they are pressed, without Enter. A terminal that is none has no keys."""

    def __init__(self, stream: int) -> None:
        self._stream = stream

    def read(self, timeout: Seconds) -> list[str]:
        """The keys pressed until one was, at most `timeout` seconds; several when one is held."""
        if not select.select([self._stream], [], [], max(0.0, timeout))[0]:
            return []
        return split(os.read(self._stream, 1024).decode("utf-8", errors="replace"))


KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
"""An arrow and its like come as several characters, in one of two ways."""


def split(text: str) -> list[str]:
    """What a terminal sent, key by key."""
    return [key.replace("\x1bO", "\x1b[") for key in KEY.findall(text)]


@contextmanager
def keyboard() -> Iterator[Keyboard | None]:
    """Standard input as a keyboard, put back in order afterwards; None when it is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    tty.setcbreak(stream)
    try:
        yield Keyboard(stream)
    finally:
        termios.tcsetattr(stream, termios.TCSADRAIN, before)
