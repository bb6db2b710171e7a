"""The management user of earlier versions, whose name a certificate could have, makes way.

Everything but its name stays: its password, which stands in the supernode's file, and its rights.
"""

from dataclasses import replace

from nm_broker.configuration import MANAGEMENT_USER
from nm_broker.management import ManagementApi
from nm_bus.errors import RefusedError

FORMER = "nm-bus"
ADMINISTRATOR = "administrator"


def succeed(api: ManagementApi) -> None:
    """Make today's management user if the broker knows only the former one, which goes for good.

    May be repeated, and stopped in between. Raises what `ManagementApi` raises.
    """
    if api.user != MANAGEMENT_USER:
        return
    try:
        names = api.users()
    except RefusedError as refused:
        try:
            _make(replace(api, user=FORMER), api.password)
        except RefusedError:
            raise refused from None
        names = api.users()
    if FORMER in names and ADMINISTRATOR in api.tags(FORMER):
        api.delete_user(FORMER)


def _make(former: ManagementApi, password: str) -> None:
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    former.put({"password": password, "tags": ADMINISTRATOR}, "users", MANAGEMENT_USER)
    for vhost in former.vhosts():
        former.put(everything, "permissions", vhost, MANAGEMENT_USER)
