"""Whether a program's certificate will do, seen before anything is begun."""

from nm_bus.errors import ConfigError
from nm_bus.messages import NodeId
from nm_bus.settings import Tls
from nm_bus.transport.tls import user_of


def check_certificate(tls: Tls, user: NodeId, setting: str = "tls") -> None:
    """Raise ConfigError unless it is in force, of the authority, and names this user first.

    `setting` is the table of the settings file that names it.
    """
    named = user_of(tls)
    if named != user:
        what = f"is the certificate of {named}, and this node is {user}"
        raise ConfigError(tls.certificate, what, f"mend `node` or `{setting}.certificate`")
