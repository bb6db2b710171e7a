"""The certificate files of a node or a person: found beside each other, and read once."""

from dataclasses import dataclass
from pathlib import Path

from nm_bus.errors import ConfigError
from nm_bus.grants import LINK_PREFIX, link_user
from nm_bus.identity.certificates import user_of
from nm_bus.settings import Tls
from nm_bus.tables import expanded


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate is of, and its files."""

    name: str
    tls: Tls

    @classmethod
    def read(cls, certificate: Path) -> "Identity":
        """Read NAME.crt, with NAME.key and ca.crt beside it.

        Raises ConfigError when a file is missing or the broker would refuse the certificate.
        """
        here = expanded(str(certificate)).absolute()
        tls = Tls(here.with_name("ca.crt"), here, here.with_suffix(".key"))
        return cls(user_of(tls), tls)

    def link(self) -> "Identity":
        """The certificate of this supernode's links, which lies beside its own."""
        name = link_user(self.name)
        return Identity.read(self.tls.certificate.with_name(f"{name}.crt"))

    def table(self) -> dict[str, str]:
        """The three files as a table of a settings file."""
        return {
            "ca": str(self.tls.ca),
            "certificate": str(self.tls.certificate),
            "key": str(self.tls.key),
        }


def likely(folder: Path) -> str:
    """The one certificate in a folder that is no authority's and no link's; empty if unclear."""
    try:
        found = [
            file
            for file in folder.glob("*.crt")
            if file.name != "ca.crt" and not file.name.startswith(LINK_PREFIX)
        ]
    except OSError as error:
        raise ConfigError(folder, f"cannot be read: {error.strerror}") from None
    return str(found[0]) if len(found) == 1 else ""
