"""Looking as the user whose program it is: what root may do says nothing of that."""

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nm_agents.cli.doctor.finding import Finding, fail, ok, warn
from nm_agents.folder import ROOT, nearest, user_name

USUAL = "nm-bus"
"""The user as which the shipped units run the programs."""


@contextmanager
def as_owner(folder: Path) -> Iterator[Finding]:
    """Within, root is the user whom the folder belongs to; gives who that is.

    Files that are opened and made are so opened and made with that user's rights.
    """
    owner = nearest(folder).stat().st_uid
    if os.geteuid() != ROOT or owner == ROOT:
        yield _as_we_are(folder, owner)
        return
    groups, group = os.getgroups(), os.getegid()
    try:
        _become(owner)
        yield ok("user", f"looked at as {user_name(owner)}, whose folder {folder} is")
    finally:
        os.seteuid(ROOT)
        os.setegid(group)
        os.setgroups(groups)


def examine_access(settings: Path) -> Iterator[Finding]:
    """Whether this user may read the settings and run nm-bus at all."""
    me = user_name(os.geteuid())
    if not os.access(settings, os.R_OK, effective_ids=True):
        yield fail("settings", f"{settings}: {me} cannot read it", f"chmod a+r {settings}")
    if not os.access(sys.executable, os.X_OK, effective_ids=True):
        fix = "install nm-bus where that user may read, as in /opt/nm-bus by /usr/bin/python3"
        yield fail("user", f"{sys.executable}: {me} may not run it", fix)


def _become(owner: int) -> None:
    try:
        entry = pwd.getpwuid(owner)
    except KeyError:
        os.setgroups([])
    else:
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setegid(entry.pw_gid)
    os.seteuid(owner)


def _as_we_are(folder: Path, owner: int) -> Finding:
    me = os.geteuid()
    if me == ROOT and folder.exists() and _is_a_user(USUAL):
        text = f"{folder} belongs to root, and the services run as {USUAL}"
        return warn("user", text, f"chown -R {USUAL} {folder}, unless this one runs as root")
    return ok("user", f"looked at as {user_name(me)}")


def _is_a_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
