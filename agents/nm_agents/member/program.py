"""`nm-bus member run`: from a settings file to an agent that serves, or one clear sentence.

Everything a person can fix is looked at before anything is begun.
"""

import random
from functools import partial
from pathlib import Path

from nm_agents.connecting import connect
from nm_agents.folder import own_folder, writable
from nm_agents.member.documents import kept_on
from nm_agents.member.member import OWN_CHECKS, compose, properties, serve
from nm_agents.service import log_to_stderr, on_termination, served
from nm_bus import codec
from nm_bus.core.ledger.keys import MOST_FOLLOWED
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import check_certificate
from nm_bus.settings import DocumentsSettings, MemberSettings, load
from nm_bus.topology import PRINCIPAL_BYTES

MOST_CHECKS = 100 - len(OWN_CHECKS)
"""As many as a heartbeat may tell of, with the agent's own."""

PROPERTIES_BYTES = PRINCIPAL_BYTES - 4096
"""How large the properties may be together, so that they fit into one message."""


def run(config: Path) -> int:
    """Run a member agent until SIGTERM or SIGINT; gives the exit code."""
    log_to_stderr()
    return served(partial(_run, config))


def _run(config: Path) -> None:
    settings = load(config, MemberSettings)
    check_settings(settings, config)
    check_certificate(settings.tls, settings.node)
    kept = kept_on(settings.documents, config)
    with own_folder(settings.folder):
        if settings.drop_in is not None:
            writable(settings.drop_in.folder)
        # one connection serves both ways: a member reads so little that blocking it does no harm
        name = f"member {settings.node}"
        transport = connect(settings, name, *settings.brokers, separate=False)
        member = compose(settings, transport, random.random, kept)
        on_termination(transport, member.leave)
        serve(member, transport)


def check_settings(settings: MemberSettings, config: Path) -> None:
    """Raise ConfigError for what single settings cannot tell of themselves."""
    names = [check.name for check in settings.checks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(config, f"two checks are named {twice[0]!r}", "give each its own name")
    if len(names) > MOST_CHECKS:
        raise ConfigError(config, f"{len(names)} checks where {MOST_CHECKS} are allowed")
    for check in settings.checks:
        if check.name in OWN_CHECKS:
            raise ConfigError(config, f"check {check.name} is the agent's own", "name it otherwise")
        if not all(check.command[:1]) or not check.command or "\0" in "".join(check.command):
            raise ConfigError(config, f"check {check.name}: `command` names no program")
    size = codec.size_of(properties(settings.properties, "1"))
    if size > PROPERTIES_BYTES:
        what = f"properties: {size} bytes where {PROPERTIES_BYTES} are allowed"
        raise ConfigError(config, what, "name fewer endpoints, or shorten the texts")
    check_documents(settings.documents, config)


def check_documents(documents: tuple[DocumentsSettings, ...], config: Path) -> None:
    """Raise ConfigError where components would overwrite each other, or are too many, or a hook
    names no program."""
    count = len({each.component for each in documents})
    if count > MOST_FOLLOWED:
        what = f"documents of {count} components where {MOST_FOLLOWED} are allowed"
        raise ConfigError(config, what, "keep those that this host needs")
    owners: dict[Path, str] = {}
    for each in documents:
        if owners.setdefault(each.folder, each.component) != each.component:
            what = f"documents of two components go to {each.folder}"
            raise ConfigError(config, what, "give each a folder of its own")
        if each.hook and (not each.hook[0] or "\0" in "".join(each.hook)):
            raise ConfigError(config, f"documents of {each.component}: `hook` names no program")
