"""The first hours of an administrator, with the mistakes that people make: what they are told then.

Two supernodes whose project files differ, and everything that comes after. Each command is run as
a person would run it, and what it says is held to be true and to lead on.
"""

import json
import tomllib
from functools import partial
from pathlib import Path

import pytest
import tomli_w

from .site import Site, brokers, links_run
from .until import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(400)]

SN1, SN2, SN3 = "sn1.llnl.gov", "sn2.dkrz.de", "sn3.ceda.ac.uk"
ADMIN, WRONG, INDEX = "me.llnl.gov", "somebody.llnl.gov", "index.ceda.ac.uk"
REFUSED, LATER = 2, 3


def test_an_administrators_first_hours(site: Site) -> None:
    certificates(site)
    brokers(site, SN1, SN2)
    at_both = settings(site)
    began_differently(site)
    nothing_is_agreed_between_them(site, at_both)
    the_way_out(site, at_both)
    no_vote_for_a_ghost(site, at_both)
    what_takes_a_vote_away_asks(site, at_both)
    rights(site, at_both)
    a_typo_is_said(site, at_both)
    one_is_away(site, at_both)
    nobody_answers(site, at_both)


def certificates(site: Site) -> None:
    site.did("pki", "create", "pki")
    site.did("pki", "issue", SN1, SN2, "--link", "--folder", "pki")
    site.did("pki", "issue", ADMIN, "--folder", "pki")
    for node in (SN1, SN2):
        site.bring(node, node, f"_link.{node}")
    site.bring(ADMIN, ADMIN)
    reserved = site.told("pki", "issue", "nm-bus", "--folder", "pki")
    assert reserved.returncode == REFUSED


def settings(site: Site) -> Path:
    both = [word for node in (SN1, SN2) for word in ("--supernode", site.at(node))]
    for node in (SN1, SN2):
        site.set_up(ADMIN, "admin", "--supernode", site.at(node), name=node)
        config = site.supernode(node)
        site.did("broker", "admit", "administrator", ADMIN, "--config", config)
    return site.set_up(ADMIN, "admin", *both)


def project(site: Site, administrator: str) -> Path:
    site.did("files", "settings", "--to", "examples", "--force")
    known = tomllib.loads((site.folder / "examples" / "project.toml").read_text())
    own = {"administrators": [administrator], "supernodes": [{"node": SN1}, {"node": SN2}]}
    file = site.folder / f"{administrator}.toml"
    file.write_text(tomli_w.dumps(known | own))
    return file


def run(site: Site, node: str) -> None:
    site.start(f"supernode {node}", "supernode", "run", "--config", site.supernode(node))


def stop(site: Site, kind: str, node: str) -> None:
    process = site.running[f"{kind} {node}"]
    process.terminate()
    process.wait(60)


def only(site: Site, node: str) -> Path:
    """The settings that ask this supernode alone."""
    return site.folder / ADMIN / f"{node}.toml"


def began_differently(site: Site) -> None:
    """A corrected project file reached one host only; a fingerprint shows it before the start."""
    wrong, right = project(site, WRONG), project(site, ADMIN)
    prints = [
        json.loads(site.did("init", "--project", file, "--config", site.supernode(node), "--json"))[
            "fingerprint"
        ]
        for node, file in ((SN1, wrong), (SN2, right))
    ]
    assert prints[0] != prints[1]
    for node in (SN1, SN2):
        run(site, node)
    for node in (SN1, SN2):
        until(partial(links_run, site, node), f"both links of {node} run")


def nothing_is_agreed_between_them(site: Site, admin: Path) -> None:
    (site.folder / "hello.txt").write_text("hello")
    put = ("config", "put", "hello.txt", "--component", "thredds", "--timeout", "5")
    for node in (SN1, SN2):
        assert site.told(*put, "--config", only(site, node)).returncode in (REFUSED, LATER)
    for node in (SN1, SN2):
        assert json.loads(site.did("log", "--json", "--config", only(site, node)))["changes"] == []
    said = site.told("fsck", "--config", admin)
    assert said.returncode != 0
    assert "project file" in said.stdout + said.stderr
    until(
        lambda: "init --replace" in site.told("alerts", "list", "--config", admin).stdout,
        "an alert",
    )


def the_way_out(site: Site, admin: Path) -> None:
    """As the alert says, with two supernodes: the wrong one begins again from the right file."""
    stop(site, "supernode", SN1)
    begin = ("init", "--replace", "--project", site.folder / f"{ADMIN}.toml")
    asks = site.told(*begin, "--config", site.supernode(SN1))
    assert asks.returncode == REFUSED
    assert "--yes" in asks.stderr
    site.did(*begin, "--yes", "--config", site.supernode(SN1))
    run(site, SN1)
    until(partial(is_agreed, site, admin), "a document is agreed at both")
    for node in (SN1, SN2):
        got = site.did("config", "get", "thredds/hello.txt", "--config", only(site, node))
        assert got == "hello"
    assert site.told("fsck", "--config", admin).returncode == 0


def is_agreed(site: Site, admin: Path) -> bool:
    put = ("config", "put", "hello.txt", "--component", "thredds", "--config", admin)
    return site.told(*put).returncode == 0


def no_vote_for_a_ghost(site: Site, admin: Path) -> None:
    site.did("supernode", "add", SN3, "--incarnation", "abcdef", "--config", admin)
    said = site.told("supernode", "promote", SN3, "--config", admin)
    assert said.returncode == REFUSED
    assert SN3 in said.stderr
    # who votes is in the statements, which follow what was agreed by some seconds
    voting = "2 of 2 voters can vote"
    until(lambda: voting in site.told("status", "--config", admin).stdout, voting)
    site.did("supernode", "remove", SN3, "--yes", "--config", admin)
    words = site.did("log", "--config", admin)
    assert "add" in words
    assert "promote" not in words


def what_takes_a_vote_away_asks(site: Site, admin: Path) -> None:
    demote = ("supernode", "demote", SN2, "--config", admin)
    refused = site.told(*demote)
    assert refused.returncode == REFUSED
    assert "--yes" in refused.stderr
    site.did(*demote, "--dry-run")
    assert "2 of 2 voters can vote" in site.did("status", "--config", admin)


def rights(site: Site, admin: Path) -> None:
    site.did("role", "grant", INDEX, "publisher", "search", "--config", admin)
    assert INDEX in site.did("role", "list", "--config", admin)
    for component in ("search", "catalogue"):  # which the project file began with, too
        site.did("role", "revoke", INDEX, "publisher", component, "--yes", "--config", admin)
    assert INDEX not in site.did("role", "list", "--config", admin)


def a_typo_is_said(site: Site, admin: Path) -> None:
    said = site.told("config", "put", "hello.txt", "--component", "thred", "--config", admin)
    assert said.returncode == 0
    assert "no member keeps documents of thred" in said.stdout + said.stderr


def one_is_away(site: Site, admin: Path) -> None:
    """A change waits, and can be asked about by its id; what is shown of who is away is not old."""
    stop(site, "supernode", SN2)
    (site.folder / "hello.txt").write_text("hello again")
    put = ("config", "put", "hello.txt", "--component", "thredds", "--timeout", "5")
    waiting = site.told(*put, "--config", only(site, SN1))
    assert waiting.returncode == LATER
    command = next(w for w in waiting.stderr.split("`") if w.startswith("nm-bus outcome"))
    id = command.split()[2]
    stop(site, "broker", SN2)
    until(partial(is_stale, site), "nothing stale is shown as alive")
    check = site.told("status", "--check", "--config", only(site, SN1))
    assert (check.returncode, "no change can be agreed" in check.stdout) == (2, True)
    asked = site.told("outcome", id, "--config", only(site, SN1))
    assert "accepted" in asked.stdout + asked.stderr


def is_stale(site: Site) -> bool:
    """Whether the row of the one that is away shows no figure that is old."""
    shown = site.did("status", "--config", only(site, SN1)).partition("SUPERNODES")[2]
    row = next((line for line in shown.splitlines() if SN2 in line), "")
    return "unknown" in row and " - " in row and "proven" not in row


def nobody_answers(site: Site, admin: Path) -> None:
    stop(site, "supernode", SN1)
    stop(site, "broker", SN1)
    said = site.told("config", "list", "--config", admin)
    assert said.returncode == LATER
    assert all(node in said.stderr for node in (SN1, SN2))
    assert "nm-bus doctor" in said.stderr
