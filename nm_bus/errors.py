"""Every error nm-bus raises: one root, one class for each decision the caller has to make.

A bad message is not among them: it is a value (`nm_bus.codec.Rejected`) that goes to quarantine.
"""

from pathlib import Path


class NmBusError(Exception):
    """The root. Its text is one sentence that says what is wrong, where, and what to do."""


class ConfigError(NmBusError):
    """A person must fix a setting, a certificate or a file: exit code 2, never retried."""

    def __init__(self, where: str | Path, what: str, fix: str = "") -> None:
        self.where, self.what, self.fix = str(where), what, fix
        super().__init__(f"{where}: {what}" + (f"; {fix}" if fix else ""))


class ConnectionLostError(NmBusError):
    """The broker cannot be reached now. The caller tries again later, or another supernode."""


class NotKeptError(NmBusError):
    """The past that was asked for is not there; another supernode has it. The caller asks that one,
    or tries again later."""


class RefusedError(NmBusError):
    """The broker or a supernode understood and said no. Trying the same again will not help.

    `code` is the reason as a word for programs, where there is one.
    """

    def __init__(self, what: str, code: str = "") -> None:
        self.code = code
        super().__init__(what)


class ConflictError(RefusedError):
    """Somebody else came first: the key is not what was expected, or is held. Look, then decide."""


class TimedOutError(NmBusError):
    """No answer within the time the caller gave. The outcome is unknown; ask again."""


class UndecidedError(TimedOutError):
    """A change is not agreed yet. It may still be: ask with the same `id`, never with a new one.

    `accepted_by` is a supernode that has it on its disk, and will deliver it; empty if unknown.
    """

    def __init__(self, id: str, accepted_by: str, what: str) -> None:
        self.id, self.accepted_by = id, accepted_by
        super().__init__(what)


class LockLostError(NmBusError):
    """A lock is not ours any more. Stop what it protects; another holder may be at it."""


class StorageError(NmBusError):
    """The disk or the store does not take what must be kept: stop rather than lose it."""


class BrokerStartError(NmBusError):
    """A private broker did not come up. Nothing of it is left running."""
