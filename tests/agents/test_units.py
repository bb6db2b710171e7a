"""The units that sites install: whom they run as, what they start, and when they start it again."""

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nm_agents.cli.app import app

UNITS = sorted((Path(__file__).parents[2] / "agents" / "units").glob("*.service"))


def read(unit: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def test_each_service_has_a_unit() -> None:
    assert [unit.name for unit in UNITS] == [
        "nm-bus-broker@.service",
        "nm-bus-member@.service",
        "nm-bus-publish@.service",
        "nm-bus-supernode@.service",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_as_an_ordinary_user_who_cannot_become_another(unit: Path) -> None:
    service = read(unit)["Service"]
    assert (service["User"], service["Group"]) == ("nm-bus", "nm-bus")
    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"].startswith("nm-bus/%i")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_failure_is_tried_again_after_a_pause(unit: Path) -> None:
    service = read(unit)["Service"]
    assert service["Restart"] == "on-failure"
    assert int(service["RestartSec"]) >= 10


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_only_a_member_is_tried_again_where_a_person_must_mend(unit: Path) -> None:
    unattended = unit.name == "nm-bus-member@.service"
    assert (read(unit)["Service"].get("RestartPreventExitStatus") == "2") is not unattended


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_exists(unit: Path) -> None:
    words = read(unit)["Service"]["ExecStart"].split()
    assert words[:2] == ["/usr/bin/env", "nm-bus"]
    group, command, *rest, option, file = words[2:]
    assert option == "--config"
    assert file.startswith("/etc/nm-bus/%i/")
    root: Any = get_command(app)
    assert command in root.commands[group].commands
    assert rest in ([], ["/var/lib/nm-bus/%i/config.d"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_knows_every_directive(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / unit.name.replace("@", "@cmip6")
    copy.write_text(unit.read_text(encoding="utf-8"))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert [line for line in said.stderr.splitlines() if copy.name in line] == []
