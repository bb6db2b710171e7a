"""The way of `docs/running.md` from nothing to a federation, walked with the commands themselves.

Two supernodes with brokers of their own and a ledger, a member that keeps a document, and an
administrator, set up from the example settings. Each host has a folder in place of its /etc and
/var; what differs is only where things are on one machine.
"""

import json
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from nm_broker.management import ManagementApi
from nm_bus.settings import SupernodeSettings, load

from .site import LIMIT, Site, brokers, links_run
from .until import until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

SN1, SN2, MEMBER, ADMIN = "sn1.llnl.gov", "sn2.dkrz.de", "esgf-node1.llnl.gov", "me.llnl.gov"
LOG = ("log", "--json")


def is_seen(site: Site, admin: Path, health: str) -> bool:
    """Whether the one supernode that an administrator's file names says this of the member."""
    ran = site.told("status", "--json", "--all", "--config", admin)
    if ran.returncode != 0:
        return False
    states = [member["state"] for member in json.loads(ran.stdout)["members"]]
    return [s["health"] for s in states if s["node"] == MEMBER] == [health]


def users(site: Site, node: str) -> dict[str, dict[str, Any]]:
    said = site.did("broker", "users", "--json", "--config", site.supernode(node))
    return {login["name"]: login for login in json.loads(said)}


def management(site: Site, node: str) -> ManagementApi:
    settings = load(site.supernode(node), SupernodeSettings)
    return ManagementApi.described(settings.management, LIMIT)


def certificates(site: Site) -> None:
    site.did("pki", "create", "pki")
    site.did("pki", "issue", SN1, SN2, "--link", "--folder", "pki")
    site.did("pki", "issue", MEMBER, ADMIN, "--folder", "pki")
    for node in (SN1, SN2):
        site.bring(node, node, f"_link.{node}")
    site.bring(MEMBER, MEMBER)
    site.bring(ADMIN, ADMIN)


def logins(site: Site) -> None:
    for node in (SN1, SN2):
        config = site.supernode(node)
        site.did("broker", "admit", "administrator", ADMIN, "--config", config)
        assert "nothing to do" in site.did("broker", "setup", "--config", config)
    config = site.supernode(SN1)
    management(site, SN1).put_user("guest")
    said = site.did("broker", "setup", "--members", MEMBER, "--config", config)
    assert said.splitlines() == [f"made users: {MEMBER}", "removed users: guest"]
    refused = site.told("broker", "admit", "administrator", MEMBER, "--config", config)
    assert refused.returncode == 2
    assert users(site, SN1)[MEMBER]["role"] == "member"
    assert MEMBER not in users(site, SN2)


def ledgers(site: Site) -> None:
    """The same project file makes both, and again it changes nothing."""
    site.did("files", "settings", "--to", "examples")
    known = tomllib.loads((site.folder / "examples" / "project.toml").read_text())
    own = {"administrators": [ADMIN], "supernodes": [{"node": SN1}, {"node": SN2}]}
    (site.folder / "project.toml").write_text(tomli_w.dumps(known | own))
    for node, outcome in ((SN1, "made for"), (SN2, "made for"), (SN1, "is there already")):
        config = site.supernode(node)
        assert outcome in site.did("init", "--project", "project.toml", "--config", config)


def programs(site: Site) -> None:
    for node in (SN1, SN2):
        config = site.supernode(node)
        site.start(f"supernode {node}", "supernode", "run", "--config", config)
    member = site.set_up(MEMBER, "member", "--supernode", site.at(SN1), "--mount", "/")
    settings = tomllib.loads(member.read_text())
    by_hand = {
        "checks": [{"name": "true", "command": ["true"]}],
        "heartbeat": {"interval": 1.0},
        "drop_in": {"folder": "drop"},
        "documents": [{"component": "thredds", "folder": str(site.folder / MEMBER / "documents")}],
    }
    member.write_text(tomli_w.dumps(settings | by_hand))
    (site.folder / MEMBER / "documents").mkdir()
    site.start("member", "member", "run", "--config", member)
    for node in (SN1, SN2):
        until(partial(links_run, site, node), f"both links of {node} run")


def administrators(site: Site) -> list[Path]:
    """Settings that ask one supernode each."""
    return [
        site.set_up(ADMIN, "admin", "--supernode", site.at(node), name=node) for node in (SN1, SN2)
    ]


def is_run(site: Site, admin: Path) -> bool:
    """Whether the member told that it runs the document as the ledger has it."""
    ran = site.told("config", "status", "thredds/catalog.xml", "--json", "--config", admin)
    told = json.loads(ran.stdout) if ran.returncode == 0 else []
    return [d["document"] for each in told for d in each["documents"]] == ["thredds/catalog.xml"]


def documents(site: Site, admins: list[Path]) -> None:
    """What is put at one supernode is read at the other, and written at the member."""
    put, got = admins
    catalog = site.folder / "catalog.xml"
    catalog.write_text("<catalog/>\n")
    site.did("config", "put", catalog, "--component", "thredds", "--note", "new", "--config", put)
    assert site.did("config", "get", "thredds/catalog.xml", "--agreed", "--config", got) == (
        "<catalog/>\n"
    )
    until(partial(is_run, site, got), "the member runs the document")
    written = site.folder / MEMBER / "documents" / "catalog.xml"
    assert written.read_text() == catalog.read_text()
    past = json.loads(site.did(*LOG, "--config", got))["changes"]
    keys = [update["change"]["key"] for update in past]
    assert set(keys) == {f"member/{MEMBER}", "config/thredds/catalog.xml"}

    both = [word for node in (SN1, SN2) for word in ("--supernode", site.at(node))]
    admin = site.set_up(ADMIN, "admin", *both)
    checked = json.loads(site.did("fsck", "--json", "--config", admin))
    assert checked["same_head_at"].keys() == {SN1, SN2}
    told = json.loads(site.did("status", "--json", "--config", admin))["ledger"]
    assert {one["state"] for one in told["supernodes"].values()} == {"running"}
    found = json.loads(site.told("doctor", "--json", "--config", admin).stdout)
    said = {f["about"]: (f["level"], f["text"]) for f in found}
    assert said["ledger"][0] == "ok"
    assert said["votes"] == (
        "warn",
        "2 voters: while either is away nothing is agreed; three can spare one",
    )


def test_the_document_leads_to_a_federation_and_a_revoked_member_is_cut_off(site: Site) -> None:
    certificates(site)
    brokers(site, SN1, SN2)
    logins(site)
    ledgers(site)
    programs(site)
    admins = administrators(site)
    for admin in admins:
        until(partial(is_seen, site, admin, "alive"), f"alive as {admin} sees it")
    until(lambda: users(site, SN1)[MEMBER]["connections"] > 0, "it is connected")
    documents(site, admins)

    config = site.supernode(SN1)
    assert "cut" in site.did("broker", "revoke", "member", MEMBER, "--config", config)
    for admin in admins:
        until(partial(is_seen, site, admin, "down"), f"down as {admin} sees it")
    assert MEMBER not in users(site, SN1)
    assert site.told("broker", "revoke", "member", MEMBER, "--config", config).returncode == 1

    codes = {name: process.poll() for name, process in site.running.items()}
    site.end()
    assert {codes[name] for name in codes if name != "member"} == {None}
    assert {site.running[f"broker {node}"].returncode for node in (SN1, SN2)} == {0}
