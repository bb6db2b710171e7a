"""Every setting of every program, documented and validated; read from TOML by `load`.

Durations are seconds, sizes bytes. The presets LOCAL, LAN and WAN give the timings that fit a
network; a file names one and may change single values. Nothing here reads the environment.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from nm_bus.errors import ConfigError
from nm_bus.tables import Section, checked, toml

HostName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z", max_length=200)]
ProjectName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z", max_length=63)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=128)]
"""A component's name, as the ledger knows it."""
CheckName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=64)]
Positive = Annotated[float, Meta(gt=0, le=366 * 86_400)]
"""Seconds, at most a year: so neither infinity nor what is no number."""
Interval = Annotated[float, Meta(ge=0.1, le=86_400)]
"""Seconds between two repetitions; with less than a tenth a program would do nothing else."""
Port = Annotated[int, Meta(ge=1, le=65535)]


class Timing(Section, frozen=True):
    """What waits for what. Shorter notices sooner and doubts a slow network more often."""

    amqp_heartbeat: Annotated[int, Meta(ge=1, le=600)] = 10
    """Seconds between AMQP heartbeats; a dead connection is noticed after two to three."""
    connect: Positive = 10.0
    """How long one attempt to connect may take."""
    confirm: Positive = 10.0
    """How long a publication may wait for its confirm before its outcome is `timed-out`."""
    retry_first: Positive = 0.5
    """The first pause between attempts to connect; it doubles, with jitter ..."""
    retry_most: Positive = 8.0
    """... up to this. Below two heartbeat intervals, or a healed pipe raises false alarms."""
    canary: Positive = 0.5
    """How often a supernode sends a canary through each pipe."""
    canary_limit: Positive = 3.0
    """A canary later than this puts its pipe in doubt."""
    statement: Positive = 2.0
    """How often changes are told to the other supernodes."""
    roster: Positive = 30.0
    """How often everything is reported to the other supernodes."""
    link_canary: Positive = 2.0
    """How often a canary is sent through each link."""
    link_limit: Positive = 8.0
    """A link whose canaries are older than this is in trouble."""
    supernode_limit: Positive = 12.0
    """A supernode not heard for this long leaves its members `unknown`."""
    agreement_delay: Positive = 0.5
    """What supernodes wait before they try again to agree: 1.5 round trips to a majority."""
    agreement_resend: Positive = 2.0
    """When a step of an agreement is said again: above two round trips."""
    author_limit: Positive = 2.0
    """Silence after which others decide in the place of the supernode that decided last."""
    beat: Interval = 0.5
    """How often a supernode tells the others how far its ledger is."""


LAN = Timing()
LOCAL = Timing(
    amqp_heartbeat=5,  # loopback never drops a packet: silence means a stopped process
    connect=5.0,
    confirm=5.0,
    retry_first=0.25,
    retry_most=4.0,
    link_limit=6.0,
    supernode_limit=8.0,
)
WAN = Timing(
    amqp_heartbeat=20,  # a route that changes is silent for several seconds
    connect=20.0,
    confirm=30.0,
    retry_most=10.0,
    canary_limit=5.0,
    statement=5.0,
    roster=60.0,
    link_canary=5.0,
    link_limit=20.0,
    supernode_limit=30.0,
    agreement_delay=1.5,  # half a second each way, and a majority must answer
    agreement_resend=4.0,
    author_limit=3.0,
    beat=1.0,
)
PRESETS = {"local": LOCAL, "lan": LAN, "wan": WAN}


class Tls(Section, frozen=True):
    """Certificates, as PEM files. The certificate's first DNS name is who this program is."""

    ca: Path
    certificate: Path
    key: Path


class Broker(Section, frozen=True):
    """Where a broker listens for AMQPS. `host` must be a name in the broker's certificate.

    `address` is where to connect when the name does not resolve to it (tests, demonstrations).
    """

    host: HostName
    port: Port = 5671
    address: str = ""

    @property
    def where(self) -> str:
        """The place, for a sentence."""
        return f"{self.host}:{self.port}"


class Peer(Section, frozen=True):
    """A supernode: its node id, and where its broker listens for AMQPS."""

    node: HostName
    broker: Broker


Supernodes = Annotated[tuple[Peer, ...], Meta(min_length=1)]
"""The supernodes to connect to, tried in this order."""


class HeartbeatSettings(Section, frozen=True):
    """How often a member says that it lives. It is `down` after three intervals of silence."""

    interval: Interval = 5.0


Mount = Annotated[str, Meta(pattern=r"^/", max_length=4_095)]


class MetricsSettings(Section, frozen=True):
    """What is measured on this host, and how often. `mounts` are the disks to watch."""

    interval: Interval = 30.0
    mounts: Annotated[tuple[Mount, ...], Meta(max_length=200)] = ("/",)


class CheckSettings(Section, frozen=True):
    """A self-check: a Nagios plugin's command (no shell), its period and its time limit."""

    name: CheckName
    command: tuple[str, ...]
    interval: Interval = 60.0
    timeout: Positive = 30.0


class DropInSettings(Section, frozen=True):
    """A folder where local components leave metric files (JSON). A file is taken and removed."""

    folder: Path
    max_bytes: Annotated[int, Meta(ge=1024, le=229_376)] = 65_536
    """A file becomes one message, which is a little larger and has a limit of 256 KiB."""


class SpoolSettings(Section, frozen=True):
    """What keeps metrics while no broker answers: at most so many bytes, at most so old.

    When full, the oldest go first: what is happening now is worth more than what was.
    """

    max_bytes: Annotated[int, Meta(ge=65_536)] = 16 * 1024 * 1024
    max_age: Positive = 86_400.0


class DocumentsSettings(Section, frozen=True):
    """A component's documents, and the folder on this host where they are kept up to date.

    `names` are patterns (`*` stands for any characters, `/` too). `owner` and `group` stay the
    agent's own when they are empty. The hook is a command (no shell), run when documents changed.
    """

    component: Word
    folder: Path
    names: tuple[str, ...] = ("*",)
    owner: str = ""
    group: str = ""
    mode: Annotated[str, Meta(pattern=r"^0?[0-7]{3}$")] = "0644"
    hook: tuple[str, ...] = ()
    hook_timeout: Positive = 30.0


class EndpointSettings(Section, frozen=True):
    """A service that this node offers. The bounds are those of `schemas/properties`."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    url: Annotated[str, Meta(min_length=1, max_length=2_000)]
    kind: Annotated[str, Meta(max_length=128)] = ""


Software = Annotated[str, Meta(min_length=1, max_length=128)]
Version = Annotated[str, Meta(max_length=256)]


PROPERTIES_BYTES = 240 * 1024
"""How large they may be when they are sent: a larger message is refused at the supernode."""


class PropertiesSettings(Section, frozen=True):
    """What this node says of itself. The bounds are those of `schemas/properties`."""

    organisation: Annotated[str, Meta(max_length=256)] = ""
    description: Annotated[str, Meta(max_length=1_000)] = ""
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    city: Annotated[str, Meta(max_length=128)] = ""
    country: Annotated[str, Meta(max_length=128)] = ""
    endpoints: Annotated[tuple[EndpointSettings, ...], Meta(max_length=200)] = ()
    software: Annotated[dict[Software, Version], Meta(max_length=500)] = msgspec.field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        size = len(msgspec.json.encode(self))
        if size > PROPERTIES_BYTES:
            what = f"all properties take {size} bytes, {PROPERTIES_BYTES} are allowed"
            raise ValueError(f"{what}: leave out endpoints or software")


class MemberSettings(Section, frozen=True):
    """A member agent's file. `folder` holds its spool and state and is its own alone."""

    project: ProjectName
    node: HostName
    folder: Path
    supernodes: Supernodes
    tls: Tls
    network: str = "lan"
    timing: Timing | None = None
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    metrics: MetricsSettings = MetricsSettings()
    checks: tuple[CheckSettings, ...] = ()
    drop_in: DropInSettings | None = None
    spool: SpoolSettings = SpoolSettings()
    documents: tuple[DocumentsSettings, ...] = ()
    properties: PropertiesSettings = PropertiesSettings()

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """Where to connect, in this order."""
        return tuple(peer.broker for peer in self.supernodes)


class Management(Section, frozen=True):
    """The broker's management API, on loopback. The password stands alone in a file (0600)."""

    url: str = "http://127.0.0.1:15672"
    user: str = "_nm-bus"
    password_file: Path | None = None


class Limits(Section, frozen=True):
    """What a supernode is built to hold. Raising one needs the queues to be declared again."""

    partitions: Annotated[int, Meta(ge=1, le=64)] = 1
    """How many ingest processes share the members."""
    members: Annotated[int, Meta(ge=1)] = 2_000
    """Members of the project; the heartbeat queues hold three times as many messages."""


class SupernodeSettings(Section, frozen=True):
    """A supernode's file. `link_tls` is what its shovels show to its peers' brokers."""

    project: ProjectName
    node: HostName
    folder: Path
    broker: Broker
    tls: Tls
    management: Management = Management()
    link_tls: Tls | None = None
    peers: tuple[Peer, ...] = ()
    network: str = "lan"
    timing: Timing | None = None
    limits: Limits = Limits()


class AdministratorSettings(Section, frozen=True):
    """What the command line needs: who asks, and the supernodes to try, in this order.

    `role` is what the brokers have admitted this user as.
    """

    project: ProjectName
    supernodes: Supernodes
    tls: Tls
    folder: Path = Path("~/.local/state/nm-bus")
    network: str = "lan"
    timing: Timing | None = None
    role: Literal["administrator", "component", "member"] = "administrator"


Settings = TypeVar("Settings", bound=MemberSettings | SupernodeSettings | AdministratorSettings)


def load(path: Path, kind: type[Settings]) -> Settings:
    """Read and check a settings file; relative paths in it are relative to its folder.

    Raises ConfigError with the file, the key, what is wrong and what to do.
    """
    return check(toml(path), kind, path)


def check(raw: object, kind: type[Settings], path: Path) -> Settings:
    """Validate decoded settings against their kind; raises ConfigError.

    A table `timing` changes single values of the network's preset.
    """
    settings = checked(_with_preset(raw), kind, path)
    if settings.network not in PRESETS:
        raise ConfigError(path, f"network is {settings.network!r}", "use local, lan or wan")
    return settings


def timing(settings: MemberSettings | SupernodeSettings | AdministratorSettings) -> Timing:
    """The timings that hold: the file's own table, else its network's preset."""
    return settings.timing or PRESETS[settings.network]


def _with_preset(raw: object) -> object:
    if not isinstance(raw, dict) or not isinstance(raw.get("timing"), dict):
        return raw
    preset = PRESETS.get(str(raw.get("network", "lan")), LAN)
    return raw | {"timing": msgspec.to_builtins(preset) | raw["timing"]}


def connects_to(broker: Broker) -> tuple[str, int]:
    """The address and port to connect to; TLS still checks the broker's host name."""
    return broker.address or broker.host, broker.port


def in_url(address: str) -> str:
    """A host's address as it stands in a URL: one of IPv6 is in brackets."""
    return f"[{address}]" if ":" in address else address
