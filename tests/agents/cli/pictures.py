"""Pictures of screens, as text: what a command showed when somebody last looked at it with care."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import RenderableType

from nm_agents.cli.screen.console import screen, show

PIPE = None
WIDTHS = (PIPE, 80, 40)


def drawn(draw: Callable[[int], RenderableType], width: int | None) -> str:
    """What is printed on a screen of this width."""
    out = io.StringIO()
    console = screen(out, width)
    show(console, draw(console.width))
    return out.getvalue()


def agrees_with(name: str, width: int | None, said: str) -> bool:
    """The picture holds what is said; delete the file to draw it again, then read it."""
    file = Path(__file__).parent / "golden" / f"{name}-{width or 'pipe'}.txt"
    if not file.exists():
        file.write_text(said, encoding="utf-8")
        pytest.fail(f"{file.name} was written; read it and run again")
    return file.read_text(encoding="utf-8") == said
