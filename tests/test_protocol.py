"""The table of messages is whole, and what is made of it says the same."""

import inspect

import pytest

from nm_agents.cli.tail import WatchedStream
from nm_bus import messages
from nm_bus.contracts import path_of, paths
from nm_bus.grants import grant
from nm_bus.identity.role import ASKERS, Role
from nm_bus.messages import Data
from nm_bus.protocol import CARRIED, MESSAGES, PROTOCOL, TAILED, VERBS, Row
from nm_bus.topology import Sizes, project_topology


def test_every_struct_with_a_schema_has_one_row() -> None:
    structs = [each for _, each in inspect.getmembers(messages, inspect.isclass)]
    data = {each for each in structs if issubclass(each, Data) and path_of(each) in paths()}
    assert set(MESSAGES) == data
    assert len(MESSAGES) == len(data)


@pytest.mark.parametrize("row", PROTOCOL, ids=lambda row: row.message.__name__)
def test_a_message_travels_somewhere(row: Row) -> None:
    """All but answers, which go to the direct reply-to of who asked."""
    is_carried = any(row.message in carried for carried in CARRIED.values())
    assert is_carried or row.message is messages.Answer


@pytest.mark.parametrize("role", ASKERS)
def test_a_role_is_granted_the_keys_of_its_rows_and_no_others(role: Role) -> None:
    write, _ = grant(role, "n1.example.org").topics[f"requests.{role}"]
    assert set(VERBS[role]) == {key for row in PROTOCOL for key in row.keys(role)}
    assert write.count("|") == len(VERBS[role]) - 1


def test_what_can_be_watched_is_declared_and_offered_by_the_command() -> None:
    exchanges = {each.name for each in project_topology(Sizes()).exchanges}
    assert exchanges >= TAILED
    assert {stream.value for stream in WatchedStream} == TAILED
