"""Fetch RabbitMQ 4.x beside the distribution's own, as a tree of unpacked Debian packages.

Prints the tree's folder and exits 0, or one sentence that says why it cannot be had and exits 1.
Nothing is installed and the machine's package database is not touched: apt works on a state of its
own. The tree stays in `NM_BUS_RABBITMQ4`, or `~/.cache/nm-bus/rabbitmq4`, for the next time.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "trixie"
MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
SERVER = "usr/lib/rabbitmq/bin/rabbitmq-server"

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


class UnavailableError(Exception):
    """RabbitMQ 4.x cannot be had here; the text says why."""


def main() -> int:
    """Print the folder of the tree, fetched if need be."""
    chosen = os.environ.get("NM_BUS_RABBITMQ4", "~/.cache/nm-bus/rabbitmq4")
    tree = Path(chosen).expanduser().absolute()
    try:
        check_machine()
        if not (tree / SERVER).exists():
            fetch(tree)
    except UnavailableError as error:
        print(error)
        return 1
    print(tree)
    return 0


def check_machine() -> None:
    """Find out whether a tree could be fetched and run here."""
    for program, package in (("bwrap", "bubblewrap"), ("apt-get", "apt"), ("dpkg", "dpkg")):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is missing: install the package {package}")
    if not KEYRING.exists():
        raise UnavailableError(f"{KEYRING} is missing: install debian-archive-keyring")
    run("this machine forbids user namespaces", "bwrap", "--ro-bind", "/", "/", "true")


def fetch(tree: Path) -> None:
    """Download and unpack into a draft, then put it in its place whole."""
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=".rabbitmq4-") as draft:
        download(Path(draft))
        unpack(Path(draft) / "cache" / "archives", Path(draft) / "root")
        shutil.rmtree(tree, ignore_errors=True)
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
    """The Debian mirror that this machine uses, or Debian's own."""
    text = SOURCES.read_text() if SOURCES.exists() else ""
    found = re.search(r"^URIs:\s*(\S+)", text, re.MULTILINE)
    return found.group(1) if found else MIRROR


def unpack(archives: Path, root: Path) -> None:
    """Unpack the packages into one tree, with the two links that their installation would make."""
    for package in sorted(archives.glob("*.deb")):
        run(f"{package.name} cannot be unpacked", "dpkg", "-x", str(package), str(root))
    for link, target in (("sh", "dash"), ("awk", "mawk")):
        if not (root / "usr/bin" / link).is_symlink():
            (root / "usr/bin" / link).symlink_to(target)
    if not (root / SERVER).exists():
        raise UnavailableError(f"the packages of {SUITE} hold no {SERVER}")


def run(failing: str, *command: str) -> None:
    """Run a command; raise UnavailableError with `failing` and its last line when it fails."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        last = (ran.stderr.strip() or ran.stdout.strip() or "no reason given").splitlines()[-1]
        raise UnavailableError(f"{failing}: {last}")


if __name__ == "__main__":
    sys.exit(main())
