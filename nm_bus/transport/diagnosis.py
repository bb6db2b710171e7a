"""Why a connection failed, in one clear sentence, and whether trying again can help.

RabbitMQ and pika tell the same mistake in many ways; what each of them means is said here alone.
pika is imported when something failed: a client, which comes here too, is faster without it.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from nm_bus.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """A reason, and after how many failures in a row a person must fix it (None: never)."""

    reason: str
    hopeless_after: int | None = None

    def as_error(self) -> ConfigError:
        """The same, for a person to correct."""
        where, _, what = self.reason.partition(" ")
        return ConfigError(where.rstrip(":"), what)


SURELY = 1
PROBABLY = 3
"""A refused certificate looks like a broker that stops during the handshake: ask three times."""


def diagnose(error: BaseException, where: str, user: str) -> ConnectionFailure:
    """Say what an error of a connection to `where` (host:port) means for `user`."""
    failures = (_meaning(cause, where, user) for cause in _causes(error))
    return next((f for f in failures if f is not None), ConnectionFailure(f"{where}: {error!r}"))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an error's causes, the innermost first: pika wraps them in attributes and arguments."""
    inner = getattr(error, "exceptions", None) or (getattr(error, "exception", None), *error.args)
    for cause in reversed(inner):
        if isinstance(cause, BaseException):
            yield from _causes(cause)
    yield error


def _meaning(error: BaseException, where: str, user: str) -> ConnectionFailure | None:
    return (
        _network(error, where)
        or _certificate(error, where)
        or _login(error, where, user)
        or _loss(error, where)
    )


def _network(error: BaseException, where: str) -> ConnectionFailure | None:
    from pika.adapters.utils.connection_workflow import (  # noqa: PLC0415  see above
        AMQPConnectorStackTimeout,
    )

    match error:
        case socket.gaierror():
            return ConnectionFailure(f"{where}: the host name is not known")
        case ConnectionRefusedError():
            return ConnectionFailure(f"{where} refuses connections")
        case TimeoutError() | AMQPConnectorStackTimeout():
            return ConnectionFailure(f"{where} does not answer")
        case OSError(strerror=str(what)) if not isinstance(error, ssl.SSLError):
            return ConnectionFailure(f"{where}: {what}")
    return None


def _certificate(error: BaseException, where: str) -> ConnectionFailure | None:
    match error:
        case ssl.SSLCertVerificationError():
            what = error.verify_message.rstrip(".")
            return ConnectionFailure(
                f"{where}: the broker's certificate is not accepted: {what}", SURELY
            )
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return ConnectionFailure(
                f"{where} ended the TLS handshake: it stops, or is no AMQPS port"
            )
        case ssl.SSLError(reason=str(reason)) if "ALERT" in reason:
            alert = reason.partition("ALERT_")[2].replace("_", " ").lower()
            return ConnectionFailure(
                _REFUSED_CERTIFICATE.format(where=where) + f" ({alert})", SURELY
            )
        case ssl.SSLError():
            return ConnectionFailure(f"{where} does not speak TLS: {error.reason}", PROBABLY)
    return None


_REFUSED_CERTIFICATE = "{where} refuses our certificate: unknown authority, expired or revoked"


def _login(error: BaseException, where: str, user: str) -> ConnectionFailure | None:
    from pika.exceptions import (  # noqa: PLC0415  see above
        AuthenticationError,
        IncompatibleProtocolError,
        ProbableAccessDeniedError,
        ProbableAuthenticationError,
    )

    text = str(error.args[0]) if error.args else ""
    by_broker = "ConnectionClosedByBroker" in text
    match error:
        case AuthenticationError():
            return ConnectionFailure(
                f"{where} does not log in by certificate (EXTERNAL is off)", SURELY
            )
        case ProbableAuthenticationError() if by_broker:
            return ConnectionFailure(f"{where} {not_admitted(user)}", SURELY)
        case ProbableAccessDeniedError() if by_broker:
            return ConnectionFailure(f"{where} {denied(user, _quoted(text))}", SURELY)
        case IncompatibleProtocolError() if "SSL" in text:
            return ConnectionFailure(
                _REFUSED_CERTIFICATE.format(where=where) + _alert(text), PROBABLY
            )
    return None


def not_admitted(user: str) -> str:
    """What a broker does with a certificate that is in order, of somebody whom it does not know."""
    return f"refuses the user {user}: not admitted; there: `nm-bus broker admit ROLE {user}`"


def denied(user: str, said: str) -> str:
    """What a broker does with somebody who may not do this, from its own words."""
    unknown = re.search(r"vhost nm\.(\S+) not found", said)
    if unknown:
        return f"serves no project {unknown[1]}; see `project` in the settings"
    return f"refuses the user {user}: {said}"


def _loss(error: BaseException, where: str) -> ConnectionFailure | None:
    from pika.exceptions import (  # noqa: PLC0415  see above
        AMQPConnectionError,
        AMQPHeartbeatTimeout,
        ConnectionClosed,
    )

    match error:
        case AMQPHeartbeatTimeout():
            return ConnectionFailure(f"{where}: silent for too long, the connection was given up")
        case ConnectionClosed():
            return ConnectionFailure(f"{where} closed the connection: {error.reply_text}")
        case AMQPConnectionError():
            return ConnectionFailure(f"{where}: the connection was lost")
    return None


def _quoted(text: str) -> str:
    """Take the broker's own words out of the text of an exception in another's text."""
    found = re.search(r"\(\d+\) [\"']?(.*?)[\"')]*$", text)
    return found[1].replace("\\'", "'").replace('\\"', '"') if found else text


def _alert(text: str) -> str:
    found = re.search(r"ALERT_([A-Z_]+)", text)
    return f" ({found[1].replace('_', ' ').lower()})" if found else ""
