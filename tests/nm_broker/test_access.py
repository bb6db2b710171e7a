"""Names of users: nobody can be admitted under a name that the broker itself uses."""

import pytest

from nm_broker.access import Access, user_name
from nm_broker.management import ManagementApi
from nm_bus.errors import ConfigError
from nm_bus.grants import SHOVEL_USER
from nm_bus.identity.role import Role

UNREACHABLE = ManagementApi("http://127.0.0.1:1", "other", "", timeout=1)


@pytest.mark.parametrize(
    ("role", "principal", "user"),
    [
        (Role.MEMBER, "a.example.org", "a.example.org"),
        (Role.MEMBER, "link.example.org", "link.example.org"),
        (Role.ADMINISTRATOR, "alice", "alice"),
        (Role.LINK, "sn1.example.org", "_link.sn1.example.org"),
        (Role.SHOVEL, "", SHOVEL_USER),
    ],
)
def test_a_role_decides_the_name_of_the_user(role: Role, principal: str, user: str) -> None:
    assert user_name(role, principal) == user


@pytest.mark.parametrize(
    "principal",
    ["", "_link.sn1", "_shovel", "a:b", "A.example.org", "a|b", "a.*", ".a", "a\n", "a" * 201],
)
def test_what_is_no_id_is_refused(principal: str) -> None:
    with pytest.raises(ConfigError, match="is no id"):
        user_name(Role.MEMBER, principal)


@pytest.mark.parametrize("principal", ["nm-bus", "guest", "_nm-bus"])
def test_nobody_has_a_name_of_the_broker_s_own_users(principal: str) -> None:
    with pytest.raises(ConfigError, match=r"own users|is no id"):
        user_name(Role.MEMBER, principal)


def test_the_management_user_can_be_neither_changed_nor_revoked() -> None:
    access = Access(UNREACHABLE, "nm.demo")
    with pytest.raises(ConfigError, match="management user"):
        access.admit(Role.MEMBER, "other")
    with pytest.raises(ConfigError, match="management user"):
        access.revoke(Role.MEMBER, "other")
