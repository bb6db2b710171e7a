"""Looking at the own certificate before the first connection: who it names, and whether it holds.

A broker that refuses a certificate says little, and only at the door. The check is a TLS handshake
of the program with itself, in memory, by the rules by which the broker will judge; so it needs no
library beyond the interpreter's own.
"""

import ssl

from nm_bus.errors import ConfigError
from nm_bus.messages import NodeId
from nm_bus.settings import Tls
from nm_bus.transport.tls import client_context


def check(tls: Tls, node: NodeId) -> None:
    """Raise ConfigError unless the certificate is in force, signed by the authority, and of `node`.

    The broker takes the first DNS name of the certificate as the name of its user.
    """
    names = _dns_names(_seen_by_a_server(tls))
    if node not in names[:1]:
        named = names[0] if names else "nobody"
        what = f"is the certificate of {named}, and this node is {node}"
        raise ConfigError(tls.certificate, what, "mend `node` or `tls.certificate`")


def _seen_by_a_server(tls: Tls) -> dict[str, object]:
    client = client_context(tls)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tls.certificate, tls.key, password="")
    server.load_verify_locations(tls.ca)
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
            what = f"would be refused by the broker: {error.verify_message}"
            raise ConfigError(tls.certificate, what, "have it renewed or issued anew") from None
    return dict(judging.getpeercert() or {})


def _dns_names(certificate: dict[str, object]) -> list[str]:
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple)
    return [name for kind, name in names if kind == "DNS"]
