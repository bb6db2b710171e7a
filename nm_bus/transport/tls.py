"""Mutual TLS from settings: what is wrong with a file is said in one sentence, before connecting.

The files are read anew for each connection, so a renewed certificate counts at the next one.
"""

import ssl
from pathlib import Path

from nm_bus.boundary import Unreadable, attempt
from nm_bus.errors import ConfigError
from nm_bus.messages import NodeId
from nm_bus.settings import Tls

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 may use: authenticated encryption alone, as all of TLS 1.3 is."""


OF_ANOTHER = frozenset({18, 19, 20, 21})
"""OpenSSL's numbers for a certificate whose issuer is none of those that are trusted."""


def client_context(tls: Tls) -> ssl.SSLContext:
    """Make the context of a client that shows its certificate and checks the server's name.

    Raises ConfigError when a file is missing, is no PEM, or the key is not the certificate's.
    """
    for path in (tls.ca, tls.certificate, tls.key):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    _load(context, tls)
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise ConfigError(path, "the file is not there", "see the table `tls`") from None
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from None


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    try:
        context.load_verify_locations(tls.ca)
    except ssl.SSLError:
        raise ConfigError(tls.ca, "holds no certificate in PEM form") from None
    try:
        # an empty password, or a protected key would ask for one on the terminal
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(tls.key, f"is not the key of {tls.certificate}") from None
        what = f"cannot be used with {tls.key}: one of the two is not in plain PEM form"
        raise ConfigError(tls.certificate, what) from None


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
    _load(server, tls)
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
