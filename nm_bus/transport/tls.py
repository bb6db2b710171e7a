"""Mutual TLS from settings: what is wrong with a file is said in one sentence, before connecting.

The files are read for each connection, so a renewed certificate counts at the next one.
"""

import ssl

from nm_bus.errors import ConfigError
from nm_bus.settings import Tls

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 may use: authenticated encryption alone, as all of TLS 1.3 is."""


def client_context(tls: Tls) -> ssl.SSLContext:
    """Make the context of a client that shows its certificate and checks the server's name.

    Raises ConfigError when a file is missing, is no PEM, or the key is not the certificate's.
    """
    for path in (tls.ca, tls.certificate, tls.key):
        try:
            with path.open("rb"):
                pass
        except FileNotFoundError:
            raise ConfigError(path, "the file is not there", "see the table `tls`") from None
        except OSError as error:
            raise ConfigError(path, f"cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    load_files(context, tls)
    return context


def load_files(context: ssl.SSLContext, tls: Tls) -> None:
    """Let a context trust and show what the files hold. Raises ConfigError."""
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
