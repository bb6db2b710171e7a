"""Fetch RabbitMQ 4.x beside the distribution's own, as a tree of unpacked Debian packages.

Prints the tree's folder and exits 0. Else prints one sentence: why this machine cannot run one
(exit 3), or what failed on a machine that can (exit 1). Nothing is installed and the machine's
package database is not touched: apt works on a state of its own. The tree stays in
`NM_BUS_RABBITMQ4`, or `~/.cache/nm-bus/rabbitmq4`, for the next time. It is fetched by one at a
time, and used only when it is whole.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SERVER = "usr/lib/rabbitmq/bin/rabbitmq-server"
WHOLE = "whole"
"""The file in a tree that says that all of it is there."""
DRAFT = ".rabbitmq4-"

FAILED, CANNOT = 1, 3
WAIT = 540.0
"""Seconds that another one may take to fetch."""

PACKAGES = (
    "rabbitmq-server",
    "dash",
    "coreutils",
    "sed",
    "grep",
    "mawk",
    "util-linux",
    "findutils",
    "hostname",
)
"""With an empty package database apt leaves out what every system has: it must be named."""


class CannotError(Exception):
    """This machine cannot run RabbitMQ 4.x; the text says why."""


class FailedError(Exception):
    """This machine could run RabbitMQ 4.x, but it was not fetched; the text says why."""


def main() -> int:
    """Print the folder of the tree, fetched if need be."""
    chosen = os.environ.get("NM_BUS_RABBITMQ4", "~/.cache/nm-bus/rabbitmq4")
    tree = Path(chosen).expanduser().absolute()
    try:
        check_machine()
        with alone(tree):
            if not (tree / WHOLE).exists():
                fetch(tree)
    except CannotError as error:
        print(error)
        return CANNOT
    except (FailedError, OSError) as error:
        print(error)
        return FAILED
    print(tree)
    return 0


def check_machine() -> None:
    """Find out whether a tree could be fetched and run here."""
    for program, package in (("bwrap", "bubblewrap"), ("apt-get", "apt"), ("dpkg", "dpkg")):
        if shutil.which(program) is None:
            raise CannotError(f"{program} is missing: install the package {package}")
    if not KEYRING.exists():
        raise CannotError(f"{KEYRING} is missing: install debian-archive-keyring")
    try:
        run("this machine forbids user namespaces", "bwrap", "--ro-bind", "/", "/", "true")
    except FailedError as error:
        raise CannotError(str(error)) from error


@contextmanager
def alone(tree: Path) -> Iterator[None]:
    """Wait until nobody else fetches this tree, and keep others waiting meanwhile."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    with (tree.parent / f"{tree.name}.lock").open("w") as lock:
        deadline = time.monotonic() + WAIT
        while not locked(lock.fileno()):
            if time.monotonic() > deadline:
                raise FailedError(f"another process has held {lock.name} for {WAIT:g} s")
            time.sleep(0.2)
        yield


def locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def fetch(tree: Path) -> None:
    """Download and unpack into a draft, then put it in its place whole."""
    for left in tree.parent.glob(f"{DRAFT}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=DRAFT) as draft:
        download(Path(draft))
        unpack(Path(draft) / "cache" / "archives", Path(draft) / "root")
        (Path(draft) / "root" / WHOLE).touch()
        if tree.exists():
            shutil.rmtree(tree)
        (Path(draft) / "root").rename(tree)


def download(draft: Path) -> None:
    """Fetch the packages into `cache/archives`, with apt's own checks of their signatures."""
    for name in ("state/lists/partial", "cache/archives/partial", "root"):
        (draft / name).mkdir(parents=True)
    (draft / "status").touch()
    source = f"Types: deb\nURIs: {mirror()}\nSuites: {SUITE}\nComponents: main\n"
    (draft / "debian.sources").write_text(source + f"Signed-By: {KEYRING}\n")
    own = {
        "Dir::State": draft / "state",
        "Dir::State::status": draft / "status",
        "Dir::Cache": draft / "cache",
        "Dir::Etc::sourcelist": draft / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", *(f"-o{name}={value}" for name, value in own.items())]
    run(f"the package lists of {SUITE} cannot be fetched", *apt, "update", "--error-on=any")
    choice = ["--no-install-recommends", *PACKAGES]
    run("the packages cannot be fetched", *apt, "install", "--yes", "--download-only", *choice)


def mirror() -> str:
    """The archive of Debian that this machine's own package sources name."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", SUITE)
    named = run("the package sources cannot be read", "apt-get", "update", "--print-uris")
    found = archive(named, release)
    if platform.freedesktop_os_release()["ID"] != "debian" or not found:
        raise CannotError("the package sources of this machine name no archive of Debian")
    return found


def archive(named: str, release: str) -> str:
    """Where a release comes from, by what `apt-get update --print-uris` said; "" for nowhere."""
    found = re.search(rf"^'(\S+)/dists/{re.escape(release)}/InRelease'", named, re.MULTILINE)
    return found.group(1) if found else ""


def unpack(archives: Path, root: Path) -> None:
    """Unpack the packages into one tree, with the two links that their installation would make."""
    for package in sorted(archives.glob("*.deb")):
        run(f"{package.name} cannot be unpacked", "dpkg", "-x", str(package), str(root))
    for link, target in (("sh", "dash"), ("awk", "mawk")):
        if not (root / "usr/bin" / link).is_symlink():
            (root / "usr/bin" / link).symlink_to(target)
    if not (root / SERVER).exists():
        raise FailedError(f"the packages of {SUITE} hold no {SERVER}")


def run(failing: str, *command: str) -> str:
    """Run a command, give what it printed; FailedError with `failing` and its last line else."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        last = (ran.stderr.strip() or ran.stdout.strip() or "no reason given").splitlines()[-1]
        raise FailedError(f"{failing}: {last}")
    return ran.stdout


if __name__ == "__main__":
    sys.exit(main())
