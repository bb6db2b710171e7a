"""The project file: what a new project's ledger begins with.

It is read once, at the first supernodes, which need not be started in any order: the same file
gives each of them the same beginning, and a file that differs is found out by its identity.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from nm_bus.errors import ConfigError
from nm_bus.settings import HostName, Port, ProjectName
from nm_bus.tables import Section, checked, toml

PrincipalName = HostName
"""Who asks for a change: the name in a certificate, which the broker knows as its user."""

ComponentName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z", max_length=128)]
Weight = Annotated[int, Meta(ge=1, le=100)]


class FirstSupernode(Section, frozen=True):
    """A supernode the project begins with. Without `host` its broker is at its own name."""

    node: HostName
    host: HostName | None = None
    port: Port = 5671
    weight: Weight = 1
    """Its share of the members, beside the others' weights."""
    role: Literal["voter", "standby"] = "voter"


class ProjectPublisher(Section, frozen=True):
    """Who may publish the documents of these components."""

    principal: PrincipalName
    components: Annotated[tuple[ComponentName, ...], Meta(min_length=1)]


class Project(Section, frozen=True):
    """A project file. Administrators are principals: the names in their certificates."""

    project: ProjectName
    supernodes: Annotated[tuple[FirstSupernode, ...], Meta(min_length=1)]
    administrators: Annotated[tuple[PrincipalName, ...], Meta(min_length=1)]
    publishers: tuple[ProjectPublisher, ...] = ()


def load_project(path: Path) -> Project:
    """Read and check a project file; raises ConfigError with what is wrong and what to do."""
    return check_project(toml(path), path)


def check_project(raw: object, path: Path) -> Project:
    """Validate a decoded project file; raises ConfigError. Its order says nothing."""
    project = checked(raw, Project, path)
    _once([one.node for one in project.supernodes], "supernodes", path)
    _once(list(project.administrators), "administrators", path)
    _once([one.principal for one in project.publishers], "publishers", path)
    if all(one.role != "voter" for one in project.supernodes):
        raise ConfigError(path, "supernodes: none is a voter", "give at least one role = 'voter'")
    return _in_order(project)


def identity(project: Project) -> str:
    """The sha256 of what a project file says, whatever the order of its tables."""
    text = msgspec.json.encode(_in_order(project), order="sorted")
    return hashlib.sha256(text).hexdigest()


def _once(names: list[str], where: str, path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(path, f"{where}: {twice[0]} is there twice", "name it once")


def _in_order(project: Project) -> Project:
    supernodes = (
        msgspec.structs.replace(one, host=one.host or one.node) for one in project.supernodes
    )
    publishers = (
        msgspec.structs.replace(one, components=tuple(sorted(set(one.components))))
        for one in project.publishers
    )
    return Project(
        project.project,
        tuple(sorted(supernodes, key=lambda one: one.node)),
        tuple(sorted(project.administrators)),
        tuple(sorted(publishers, key=lambda one: one.principal)),
    )
