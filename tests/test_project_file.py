"""The project file is checked whole, and what is wrong is said in one sentence."""

from pathlib import Path
from typing import Any

import pytest

from nm_bus.errors import ConfigError
from nm_bus.project import check_project, load_project

EXAMPLE = Path(__file__).parents[1] / "agents" / "configs" / "project.toml"
GOOD: dict[str, Any] = {
    "project": "cmip6",
    "administrators": ["alice"],
    "supernodes": [{"node": "s1.org"}, {"node": "s2.org"}],
}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"project": "CMIP 6"}, "project: "),
    ({"administrators": []}, "administrators: "),
    ({"administrators": ["alice", "alice"]}, "administrators: alice is there twice"),
    ({"administrators": ["a/b"]}, "administrators"),
    ({"supernodes": []}, "supernodes: "),
    ({"supernodes": [{"node": "s1.org"}, {"node": "s1.org"}]}, "s1.org is there twice"),
    ({"supernodes": [{"node": "s1.org", "role": "standby"}]}, "supernodes: none is a voter"),
    ({"supernodes": [{"node": "S1.org"}]}, "supernodes[0].node: "),
    ({"supernodes": [{"node": "s1.org", "weight": 0}]}, "supernodes[0].weight: "),
    ({"supernodes": [{"node": "s1.org", "role": "king"}]}, "supernodes[0].role: "),
    ({"supernodes": [{"node": "s1.org", "incarnation": "x"}]}, "incarnation"),
    ({"publishers": [{"principal": "p", "components": []}]}, "publishers[0].components: "),
    ({"unknown": 1}, "unknown"),
]


@pytest.mark.parametrize(("change", "says"), WRONG)
def test_a_file_that_cannot_be_says_what_is_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_project(GOOD | change, Path("project.toml"))
    assert str(error.value).startswith("project.toml: ")
    assert says in str(error.value)


def test_a_key_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="administrators"):
        check_project({"project": "x", "supernodes": [{"node": "s1.org"}]}, Path("x.toml"))


def test_a_file_that_is_not_there_or_no_toml_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not there"):
        load_project(tmp_path / "project.toml")
    (tmp_path / "project.toml").write_text("[[supernodes]")
    with pytest.raises(ConfigError, match="TOML"):
        load_project(tmp_path / "project.toml")


def test_the_example_is_a_good_one() -> None:
    project = load_project(EXAMPLE)
    assert [one.role for one in project.supernodes] == ["voter", "voter", "voter", "standby"]
    assert project.supernodes[0].host == "broker1.llnl.gov"
