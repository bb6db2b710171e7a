"""A supernode's own broker, through its management API: alarms, limits, queues, shovels."""

from collections.abc import Iterator

from nm_agents.cli.doctor.answers import BACKLOG, backlog
from nm_agents.cli.doctor.finding import Finding, fail, ok, share_of, warn
from nm_agents.cli.screen.figures import plural, size
from nm_broker.answers import Amount, NodeAnswer, Shovel, measured
from nm_broker.management import ManagementApi
from nm_bus.errors import ConfigError, NmBusError, RefusedError
from nm_bus.messages import NodeId
from nm_bus.settings import SupernodeSettings
from nm_bus.topology import DEAD, vhost

API = "see that the broker runs with the management plugin, and `management` in the settings"


def examine_broker(settings: SupernodeSettings, timeout: float) -> Iterator[Finding]:
    """PageView at all the broker tells of itself; the first refusal ends it."""
    name = vhost(settings.project)
    try:
        api = ManagementApi.described(settings.management, timeout)
        yield from _machine(settings.node, api)
        yield from queue_findings(settings.node, api.depths(name))
        yield from shovel_findings(settings, api.shovels(name))
    except ConfigError as error:
        yield fail("management", f"{error.where}: {error.what}", error.fix)
    except RefusedError as error:
        fix = "see `management` in the settings; its user needs the tag `administrator`"
        yield fail("management", error, fix)
    except NmBusError as error:
        yield fail("management", error, API)


def _machine(node: NodeId, api: ManagementApi) -> Iterator[Finding]:
    yield ok("management", f"{api.url} answers: RabbitMQ {api.overview().rabbitmq_version}")
    for state in api.nodes():
        yield from machine_findings(node, state)


def machine_findings(node: NodeId, state: NodeAnswer) -> Iterator[Finding]:
    """Alarms and limits of one broker."""
    for alarm, rings in (("memory", state.mem_alarm), ("disk", state.disk_free_alarm)):
        if rings:
            text = f"{node}: the {alarm} alarm blocks every publisher"
            yield fail("alarm", text, f"free {alarm} on this host")
    yield from _shares(node, state)
    free, least = state.disk_free, measured(state.disk_free_limit)
    if isinstance(free, int) and free < 4 * least:
        text = f"{node}: {size(free)} of disk free, the alarm is at {size(least)}"
        yield warn("disk", text, "make room where the broker keeps its data")


def _shares(node: NodeId, state: NodeAnswer) -> Iterator[Finding]:
    files = "raise LimitNOFILE of the broker's unit"
    processes = "raise RABBITMQ_MAX_NUMBER_OF_PROCESSES"
    shares: tuple[tuple[str, Amount, Amount, str], ...] = (
        ("memory", state.mem_used, state.mem_limit, "raise vm_memory_high_watermark"),
        ("files", state.fd_used, state.fd_total, files),
        ("sockets", state.sockets_used, state.sockets_total, files),
        ("processes", state.proc_used, state.proc_total, processes),
    )
    for about, some, most, fix in shares:
        used, limit = measured(some), measured(most)
        if limit:
            show = size if about == "memory" else "{:,}".format
            text = f"{node}: {show(used)} of {show(limit)} {about}"
            yield share_of("limits", text, used / limit, fix)


def queue_findings(node: NodeId, depths: dict[str, int]) -> Iterator[Finding]:
    """Queues that are not read as fast as they fill, and what was refused."""
    quarantined = depths.get(DEAD, 0)
    if quarantined:
        text = f"{node}: {plural(quarantined, 'refused message')}"
        yield warn("quarantine", text, "`nm-bus dead list` on its host shows who sent them and why")
    full = {name: n for name, n in depths.items() if n > BACKLOG and not _may_wait(name)}
    for name, waiting in sorted(full.items()):
        yield backlog(node, name, waiting)
    if not full:
        yield ok("queues", f"{node}: {plural(len(depths), 'queue')}, none falls behind")


def _may_wait(queue: str) -> bool:
    """Whether a queue is there to wait for somebody who is away."""
    return queue == DEAD or queue.startswith(("alerts.", "tail.", "inbox.", "thrown."))


def shovel_findings(settings: SupernodeSettings, shovels: dict[str, Shovel]) -> Iterator[Finding]:
    """Shovels that do not run, or are missing."""
    wanted = 2 * len(settings.peers)
    for name, said in sorted(shovels.items()):
        if said.state != "running":
            text = f"{name}: {said.state}: {said.reason or 'no reason given'}"
            yield warn("shovel", text, "see the findings on the way to that peer")
    if len(shovels) < wanted:
        text = f"{len(shovels)} of {plural(wanted, 'shovel')} are there"
        yield warn("shovel", text, "`nm-bus supernode run` makes them; see its log")
    elif all(said.state == "running" for said in shovels.values()):
        yield ok("shovel", f"all of {plural(len(shovels), 'shovel')} run")
