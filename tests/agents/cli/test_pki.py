import json
import stat
from pathlib import Path

import pytest

from nm_broker.pki import Authority
from nm_bus.identity.certificates import describe

from .conftest import Run


@pytest.fixture
def pki(run: Run, tmp_path: Path) -> Path:
    assert run("pki", "create", str(tmp_path / "pki")).exit_code == 0
    return tmp_path / "pki"


def test_certificates_are_issued_by_an_authority_that_was_created(run: Run, pki: Path) -> None:
    said = run("pki", "issue", "sn1.example.org", "n1.example.org", "--folder", str(pki), "--json")
    assert said.exit_code == 0
    assert [told["names"] for told in json.loads(said.stdout)] == [
        ["sn1.example.org"],
        ["n1.example.org"],
    ]
    assert stat.S_IMODE((pki / "n1.example.org.key").stat().st_mode) == 0o600
    assert "PRIVATE" not in said.stdout


def test_a_supernode_gets_its_links_certificate_too(run: Run, pki: Path) -> None:
    run("pki", "issue", "sn1.example.org", "--link", "--folder", str(pki))
    assert describe(pki / "_link.sn1.example.org.crt").names == ("_link.sn1.example.org",)


def test_a_life_can_be_chosen(run: Run, pki: Path) -> None:
    run("pki", "issue", "n1.example.org", "--folder", str(pki), "--days", "3")
    said = describe(pki / "n1.example.org.crt")
    assert (said.ends - said.starts).days == 3


def test_what_is_there_is_renewed_only_when_forced(run: Run, pki: Path) -> None:
    issue = ("pki", "issue", "n1.example.org", "--folder", str(pki))
    run(*issue)
    before = (pki / "n1.example.org.crt").read_bytes()
    refused = run(*issue)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert (pki / "n1.example.org.crt").read_bytes() == before
    assert run(*issue, "--force").exit_code == 0
    assert (pki / "n1.example.org.crt").read_bytes() != before


def test_an_authority_is_never_overwritten(run: Run, pki: Path) -> None:
    before = (pki / "ca.key").read_bytes()
    said = run("pki", "create", str(pki))
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert (pki / "ca.key").read_bytes() == before


@pytest.mark.parametrize("name", ["Sn1.example.org", "_link.sn1.example.org", "../evil", "a b"])
def test_a_name_that_is_no_id_is_refused_before_anything_is_written(
    run: Run, pki: Path, name: str
) -> None:
    said = run("pki", "issue", "n1.example.org", name, "--folder", str(pki))
    assert said.exit_code == 2
    assert "is no id" in said.stderr
    assert not (pki / "n1.example.org.crt").exists()


def test_an_authority_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    said = run("pki", "issue", "n1.example.org", "--folder", str(tmp_path))
    assert said.exit_code == 2
    assert "holds no authority" in said.stderr


def test_a_folder_is_shown_and_an_expired_certificate_is_a_negative_result(
    run: Run, pki: Path
) -> None:
    assert run("pki", "show", str(pki)).exit_code == 0
    authority = Authority.load(pki)
    starts = describe(pki / "ca.crt").starts.replace(year=2020)
    authority.issue("old.example.org", pki, starts=starts)
    said = run("pki", "show", str(pki), "--json")
    assert said.exit_code == 1
    holds = {
        told["names"][0] if told["names"] else "": told["holds"] for told in json.loads(said.stdout)
    }
    assert holds == {"": True, "old.example.org": False}


def test_a_folder_without_certificates_is_told(run: Run, tmp_path: Path) -> None:
    said = run("pki", "show", str(tmp_path))
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
