"""Every setting is documented: in the example files, which load, and in a table of `docs/`."""

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nm_bus.errors import ConfigError
from nm_bus.project import Project
from nm_bus.settings import (
    LAN,
    LOCAL,
    WAN,
    AdministratorSettings,
    MemberSettings,
    SupernodeSettings,
    Timing,
    load,
)

CHECKOUT = Path(__file__).parents[1]
CONFIGS = CHECKOUT / "agents" / "configs"
DOCUMENT = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")

Kind = type[MemberSettings | SupernodeSettings | AdministratorSettings]
EXAMPLES: dict[str, Kind] = {
    "member": MemberSettings,
    "supernode": SupernodeSettings,
    "admin": AdministratorSettings,
}


def struct_in(hint: Any) -> tuple[type[msgspec.Struct] | None, str]:
    """The table that a setting's type holds, if any, and `[]` when there may be several."""
    if typing.get_origin(hint) is typing.Annotated:
        return struct_in(typing.get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint, ""
    found = (struct_in(inner)[0] for inner in typing.get_args(hint))
    struct = next((inner for inner in found if inner), None)
    return struct, "[]" if struct and typing.get_origin(hint) is tuple else ""


def settings_of(kind: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting's full name, as `checks[].name`, and its default."""
    for field in msgspec.structs.fields(kind):
        struct, many = struct_in(field.type)
        name = f"{prefix}{field.name}{many}"
        if struct is not None:
            yield from settings_of(struct, f"{name}.")
        elif field.default_factory is not msgspec.NODEFAULT:
            yield name, field.default_factory()
        else:
            yield name, field.default


def values_in(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every name that a TOML document gives a value, in the same form, and the value."""
    assert isinstance(value, dict)
    for key, item in value.items():
        tables = [i for i in item if isinstance(i, dict)] if isinstance(item, list) else []
        if tables:
            for table in tables:
                yield from values_in(table, f"{prefix}{key}[].")
        elif isinstance(item, dict) and key != "software":
            yield from values_in(item, f"{prefix}{key}.")
        else:
            yield prefix + key, item


def unfolded(name: str) -> str:
    """An example with all that it only mentions put in force: lines of `#` and no blank."""
    text = (CONFIGS / f"{name}.toml").read_text(encoding="utf-8")
    return re.sub(r"^#(?=[\[a-z])", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads(name: str) -> None:
    load(CONFIGS / f"{name}.toml", EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_with_everything_it_mentions(name: str, tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text(unfolded(name))
    load(tmp_path / "all.toml", EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_every_setting(name: str) -> None:
    shown = {setting for setting, _ in values_in(msgspec.toml.decode(unfolded(name)))}
    assert shown == {setting for setting, _ in settings_of(EXAMPLES[name])}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_a_setting_is_by_default(name: str) -> None:
    shown = dict(values_in(msgspec.toml.decode(unfolded(name))))
    defaults = {
        setting: default
        for setting, default in settings_of(EXAMPLES[name])
        if isinstance(default, str | int | float) and default != ""
    }
    del defaults["network"]  # an example has one network, and says which others there are
    assert {setting: shown[setting] for setting in defaults} == defaults


def test_paths_are_relative_to_their_file_wherever_it_was_named_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "admin.toml").write_text((CONFIGS / "admin.toml").read_text())
    monkeypatch.chdir(tmp_path)
    assert load(Path("admin.toml"), AdministratorSettings).tls.ca == tmp_path / "ca.crt"


def test_an_unknown_key_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "member.toml").write_text('colour = "red"\n' + unfolded("member"))
    with pytest.raises(ConfigError, match="colour is no setting"):
        load(tmp_path / "member.toml", MemberSettings)


# --- the document's tables


def rows(heading: str, width: int) -> list[list[str]]:
    """The cells of the rows of a section's table whose first cell is code."""
    section = DOCUMENT.partition(f"## {heading}\n")[2].partition("\n##")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    assert all(len(row) == width for row in found), heading
    return [[cell.strip().replace("`", "") for cell in row] for row in found]


def told(default: Any) -> str:
    """A default as the document writes it."""
    if default is msgspec.NODEFAULT:
        return "needed"
    if isinstance(default, tuple):
        return str(list(default)).replace("'", '"')
    if isinstance(default, float):
        return f"{default:g}"
    return str(default or "")


def test_every_setting_is_documented_with_its_files_and_its_default() -> None:
    wanted: dict[str, tuple[str, str]] = {}
    for name, kind in EXAMPLES.items():
        for setting, default in settings_of(kind):
            files, text = wanted.get(setting, ("", told(default)))
            wanted[setting] = (f"{files}, {name}".lstrip(", "), text)
    timings = {f"timing.{field.name}" for field in msgspec.structs.fields(Timing)}
    expected = {name: row for name, row in wanted.items() if name not in timings}
    assert {row[0]: (row[1], row[2]) for row in rows("Every setting", 4)} == expected


def test_what_a_project_file_holds_is_documented() -> None:
    wanted = {name: told(default) for name, default in settings_of(Project)}
    assert {row[0]: row[1] for row in rows("The project file", 3)} == wanted


def test_the_timings_of_each_network_are_documented() -> None:
    wanted = [
        [field.name, *(f"{getattr(preset, field.name):g}" for preset in (LOCAL, LAN, WAN))]
        for field in msgspec.structs.fields(Timing)
    ]
    assert [row[:4] for row in rows("Timings of a network", 5)] == wanted
