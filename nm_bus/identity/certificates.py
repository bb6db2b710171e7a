"""What a certificate says: the names that it proves, and when it holds. It is read here alone.

Whom to trust is decided in `nm_bus.identity.chains`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nm_bus.boundary import Unreadable, attempt
from nm_bus.errors import ConfigError
from nm_bus.messages import NodeId
from nm_bus.settings import Tls
from nm_bus.transport.tls import client_context, load_files

if TYPE_CHECKING:
    from cryptography import x509

OF_ANOTHER = frozenset({18, 19, 20, 21})
"""OpenSSL's numbers for a certificate whose issuer is none of those that are trusted."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says: the names it proves, and when it holds."""

    names: tuple[str, ...]
    issuer: str
    starts: datetime
    ends: datetime

    def holds(self, now: datetime) -> bool:
        """Whether `now` is within its life."""
        return self.starts <= now <= self.ends


def describe(path: Path) -> Certificate:
    """Read a certificate's names and life; raises ConfigError when it is not one."""
    from cryptography import x509  # noqa: PLC0415  # the lean agent does not have it in memory

    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}", "check the path") from None
    found = attempt(lambda: _read(x509.load_pem_x509_certificate(text)))
    if isinstance(found, Unreadable):
        raise ConfigError(path, "is no certificate in PEM form", "have it issued again")
    return found


def _read(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        names=names_of(certificate),
        issuer=certificate.issuer.rfc4514_string(),
        starts=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
    )


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names that a certificate proves; the first one is who it stands for."""
    from cryptography import x509  # noqa: PLC0415

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))


def check_certificate(tls: Tls, user: NodeId, setting: str = "tls") -> None:
    """Raise ConfigError unless it is in force, of the authority, and names this user first.

    `setting` is the table of the settings file that names it.
    """
    named = user_of(tls)
    if named != user:
        what = f"is the certificate of {named}, and this node is {user}"
        raise ConfigError(tls.certificate, what, f"correct `node` or `{setting}.certificate`")


def user_of(tls: Tls) -> NodeId:
    """Give the certificate's first DNS name, which is the broker's user.

    A TLS handshake with ourselves, in memory, judges the certificate by the broker's own rules
    and reads it without another library. Raises ConfigError when the broker would refuse it.
    """
    names = attempt(lambda: _dns_names(_seen_by_a_server(tls)))
    if isinstance(names, Unreadable):
        raise ConfigError(tls.certificate, names.reason, "have it issued again")
    if not names:
        raise ConfigError(tls.certificate, "names no host or person", "have it issued again")
    return names[0]


def _seen_by_a_server(tls: Tls) -> dict[str, object]:
    client = client_context(tls)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_files(server, tls)
    server.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    judging = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, judging, asking, judging):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in OF_ANOTHER:
                what = f"is not of the authority that issued {tls.certificate}"
                raise ConfigError(tls.ca, what, "take the ca.crt of this project") from None
            what = f"would be refused by the broker: {error.verify_message}"
            raise ConfigError(tls.certificate, what, "have it renewed or issued again") from None
    return dict(judging.getpeercert() or {})


def _dns_names(certificate: dict[str, object]) -> list[str]:
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple)
    return [name for kind, name in names if kind == "DNS"]
