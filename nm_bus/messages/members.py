"""What members say of themselves."""

from nm_bus.messages.base import CheckStatus, Data, Nested, Seconds


class Check(Nested, frozen=True):
    """One self-check's last result. `output` is its first line, at most 256 characters."""

    name: str
    status: CheckStatus
    output: str = ""
    since: Seconds = 0.0


class Heartbeat(Data, frozen=True):
    """A member lives. `incarnation` is new at each start, `sequence` counts from 1 within it."""

    incarnation: str
    sequence: int
    interval: Seconds
    uptime: Seconds
    agent: str
    checks: tuple[Check, ...] = ()
    leaving: bool = False
    spooled: int = 0


class Declared(Nested, frozen=True):
    """A metric that a node brings beyond the catalogue. `kind` is `gauge` or `counter`."""

    name: str
    unit: str
    kind: str = "gauge"
    quantiles: bool = False


class Metrics(Data, frozen=True):
    """Measured values: series (`disk.used` or `disk.used[/data]`) to number.

    `age` is how long ago they were measured when this was sent, by the sender's own steady clock,
    so that no clock needs to be trusted and spooled metrics land in the window where they belong.
    """

    incarnation: str
    sequence: int
    age: Seconds
    values: dict[str, float]
    declared: tuple[Declared, ...] = ()


class Endpoint(Nested, frozen=True):
    """A service that a node offers."""

    name: str
    url: str
    kind: str = ""


class Properties(Data, frozen=True):
    """What a node says of itself: sent at start, on change, and every ten minutes."""

    incarnation: str
    organisation: str = ""
    description: str = ""
    latitude: float | None = None
    longitude: float | None = None
    city: str = ""
    country: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    software: dict[str, str] = {}
