"""The agent loads what it needs and no more: it must fit on any node."""

import subprocess
import sys

import pytest

LOADED = """
import sys
import nm_agents.member.program
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
    )
    return set(ended.stdout.split())


@pytest.mark.parametrize(
    "library",
    ["jsonschema", "jsonschema_rs", "kombu", "rich", "typer", "cryptography", "watchdog", "email"],
)
def test_what_the_agent_does_not_need_at_start_is_not_loaded(
    loaded: set[str], library: str
) -> None:
    assert library not in loaded


def test_what_it_needs_is(loaded: set[str]) -> None:
    assert {"pika", "msgspec", "psutil", "sqlite3"} <= loaded
