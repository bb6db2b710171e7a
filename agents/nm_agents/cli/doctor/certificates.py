"""The certificate files: readable, in force, of this node, signed by the authority they name."""

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from nm_agents.cli.doctor.finding import Finding, Level, fail, ok, warn
from nm_agents.cli.screen.figures import plural
from nm_agents.folder import user_name
from nm_bus.errors import ConfigError
from nm_bus.identity.certificates import Certificate, describe, user_of
from nm_bus.messages import NodeId
from nm_bus.settings import Tls

SOON = timedelta(days=30)
"""Time enough to have a certificate renewed by people who are on holiday."""

RENEW = "have it renewed by the project's authority"


def examine_certificates(tls: Tls, node: NodeId, now: datetime) -> Iterator[Finding]:
    """PageView at a program's three files. An empty `node` is whoever the certificate names."""
    for about, path in (("certificate", tls.certificate), ("authority", tls.ca)):
        try:
            said = describe(path)
        except ConfigError as error:
            # what a file system said is the cause; what a parser said has a fix of its own
            cause = error.__context__
            fix = _let_read(path, cause) if isinstance(cause, OSError) else error.fix
            yield fail(about, f"{error.where}: {error.what}", fix)
            return
        yield life(about, path, said, now)
    key = _key(tls.key)
    yield key
    if key.level is not Level.FAIL:
        yield _identity(tls, node)


def _identity(tls: Tls, node: NodeId) -> Finding:
    try:
        named = user_of(tls)
    except ConfigError as error:
        return fail("identity", f"{error.where}: {error.what}", error.fix or RENEW)
    if node and named != node:
        text = f"{tls.certificate} is the certificate of {named}, and this node is {node}"
        return fail("identity", text, "correct `node` or `tls.certificate`")
    return ok("identity", f"this is {named}; key, certificate and authority fit together")


def life(about: str, path: Path, said: Certificate, now: datetime) -> Finding:
    """How much of a certificate's life is left."""
    left = said.ends - now
    if now < said.starts:
        when = f"holds only from {said.starts:%Y-%m-%d %H:%M} UTC"
        return fail(about, f"{path}: {when}", "set this host's clock, or wait")
    if left <= timedelta(0):
        return fail(about, f"{path}: expired on {said.ends:%Y-%m-%d %H:%M} UTC", RENEW)
    text = f"{path}: good for {plural(left.days, 'day')} more"
    return warn(about, text, RENEW) if left < SOON else ok(about, text)


def _let_read(path: Path, error: BaseException) -> str:
    """What to do about a file that cannot be read."""
    if isinstance(error, PermissionError):
        return f"chown {user_name(os.geteuid())} {path}, and see the folders above it"
    return "check the path"


def _key(path: Path) -> Finding:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        return fail("key", f"{path}: cannot be read: {error.strerror}", _let_read(path, error))
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warn("key", f"{path}: others may read it", f"chmod 600 {path}")
    return ok("key", f"{path}: only its owner may read it")
