"""What a broker holds, told apart from what it held; roles told by rights."""

import pytest

from nm_broker.access import user_name
from nm_broker.standing import gained, role_of
from nm_bus.grants import Grant, grant
from nm_bus.identity.role import Role


@pytest.mark.parametrize("role", Role)
def test_a_role_is_told_by_its_rights(role: Role) -> None:
    user = user_name(role, "n1.example.org")
    assert role_of(user, grant(role, user)) is role


def test_rights_that_no_role_has_are_told_as_such() -> None:
    assert role_of("n1", None) is None
    assert role_of("n1", Grant("n1", "", ".*", "")) is None
    assert role_of("n1", grant(Role.MEMBER, "n2")) is None


def test_what_is_new_is_told_by_kind_and_rabbitmqs_own_is_not() -> None:
    before = {"vhost": frozenset[str](), "users": frozenset({"a"})}
    after = {
        "vhost": frozenset({"nm.demo"}),
        "users": frozenset({"a", "b"}),
        "exchanges": frozenset({"", "amq.topic", "alerts"}),
    }
    assert gained(before, after) == {
        "vhost": ["nm.demo"],
        "users": ["b"],
        "exchanges": ["alerts"],
    }
    assert gained(after, after) == {}
