"""What a member agent needs on its host: folders, programs, mounts. Each is tried, not supposed."""

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator

from nm_agents.cli.doctor.finding import Finding, Level, fail, ok, warn
from nm_agents.cli.doctor.host import examine_folder
from nm_agents.cli.screen.figures import plural
from nm_agents.member.host import Host
from nm_bus.settings import CheckSettings, DocumentsSettings, MemberSettings

STATES = range(4)
"""The exit codes of a Nagios plugin: fine, warning, critical, unknown."""

SHOWN = 120


def examine_member(settings: MemberSettings, *, run: bool = False) -> Iterator[Finding]:
    """PageView at what the settings name on this host. `run`: run each check once as well."""
    if settings.drop_in is not None:
        yield from examine_folder(settings.drop_in.folder, "drop-in")
    yield from _measured(settings.metrics.mounts)
    for check in settings.checks:
        found = program(f"check {check.name}", check.command)
        yield found
        if run and found.level is Level.OK:
            yield _run(check)
    for documents in settings.documents:
        yield from _documents(documents)


def _measured(mounts: tuple[str, ...]) -> Iterator[Finding]:
    """Measure once, as the agent does."""
    troubles = Host(mounts).measure().troubles
    for name, reason in troubles.items():
        yield warn("measuring", f"{name}: {reason}", "correct `metrics.mounts`, or what is refused")
    if not troubles:
        yield ok("measuring", f"all of {plural(len(mounts), 'mount')} and of this host's figures")


def program(about: str, command: tuple[str, ...]) -> Finding:
    """Whether a command's program can be run by whoever this is now."""
    name = command[0] if command else ""
    found = shutil.which(name, mode=os.F_OK)
    if not found:
        return fail(about, f"{name}: no such program", "install it, or correct the command")
    if not os.access(found, os.X_OK, effective_ids=True):
        return fail(about, f"{found}: may not be run by this user", f"chmod a+rx {found}")
    return ok(about, f"{found} can be run")


def _run(check: CheckSettings) -> Finding:
    about = f"check {check.name}"
    try:
        ran = subprocess.run(
            check.command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=check.timeout,
            check=False,
            # wholly this user: a shell takes back the rights of who began it
            user=os.geteuid() if os.geteuid() != os.getuid() else None,
            group=os.getegid() if os.getegid() != os.getgid() else None,
        )
    except subprocess.TimeoutExpired:
        return fail(about, f"did not end within {check.timeout:g} s", "give it a longer `timeout`")
    except OSError as error:
        return fail(about, f"cannot be run: {error.strerror}", "correct the command")
    said = " ".join((ran.stdout.strip() or ran.stderr.strip()).split())[:SHOWN]
    if ran.returncode in STATES and ran.stdout.strip():
        return ok(about, f"runs, and exits with {ran.returncode}: {said}")
    text = f"is no plugin's end: exit code {ran.returncode}: {said or 'nothing was printed'}"
    return fail(about, text, "run it by hand as this user")


def _documents(documents: DocumentsSettings) -> Iterator[Finding]:
    about = f"documents of {documents.component}"
    yield from examine_folder(documents.folder, about)
    lookups: tuple[tuple[str, str, Callable[[str], object]], ...] = (
        ("user", documents.owner, pwd.getpwnam),
        ("group", documents.group, grp.getgrnam),
    )
    for kind, name, look in lookups:
        if name and not _is_known(name, look):
            yield fail(about, f"there is no {kind} {name} here", "make it, or correct the settings")
    if documents.hook:
        yield program(f"{about}, hook", documents.hook)


def _is_known(name: str, look: Callable[[str], object]) -> bool:
    try:
        look(name)
    except KeyError:
        return False
    return True
