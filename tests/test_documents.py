"""The documents hold together: contents, links, and what they say of the protocol and in code.

Their command lines are held to the commands in `agents/cli/test_app.py`, their settings to the code
in `test_settings.py`, and the way to a federation is walked in `scenarios/test_for_real.py`.
"""

import ast
import re
from pathlib import Path

import pytest

from nm_bus.client import Client
from nm_bus.codec import Rejected, decode
from nm_bus.identity.role import ADMINISTRATOR, COMPONENT, MEMBER
from nm_bus.protocol import VERBS

CHECKOUT = Path(__file__).parents[1]
TITLED = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
ALL = [*TITLED, CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "CHANGELOG.md"]

each_titled = pytest.mark.parametrize("document", TITLED, ids=lambda path: path.name)
each = pytest.mark.parametrize("document", ALL, ids=lambda path: path.name)


def prose(document: Path) -> str:
    """The text without its code."""
    text = document.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```|^ {4,}\S.*?$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(document: Path, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", prose(document), re.MULTILINE)


def anchor(heading: str) -> str:
    """What a heading is linked by, as the common readers of Markdown make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def links(document: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(document))


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@each_titled
def test_the_contents_name_every_section(document: Path) -> None:
    sections = [heading for heading in headings(document, 2) if heading != "Contents"]
    contents = prose(document).partition("## Contents\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^- \[(.+)\]\(#(.+)\)$", contents, re.MULTILINE)
    assert listed == [(heading, anchor(heading)) for heading in sections]


@each
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        name, _, wanted = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), link
        anchors = {anchor(each) for level in (1, 2, 3) for each in headings(target, level)}
        assert not wanted or wanted in anchors, link


def test_every_document_is_named_in_the_readme() -> None:
    named = {
        (CHECKOUT / link).resolve() for link in links(CHECKOUT / "README.md") if "#" not in link
    }
    assert set(ALL) - {CHECKOUT / "README.md"} <= named


def test_the_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180


def test_the_requests_of_each_role_are_those_of_the_protocol() -> None:
    text = (CHECKOUT / "docs" / "protocol.md").read_text(encoding="utf-8")
    section = text.partition("\n## Requests\n")[2].partition("\n| code")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.*?) ?\| (.*?) ?\| (.*?) ?\|", section, re.MULTILINE)
    for column, role in enumerate((MEMBER, COMPONENT, ADMINISTRATOR), 1):
        assert {row[0] for row in rows if row[column] == "yes"} == set(VERBS[role]), role


def test_every_place_that_contributors_are_sent_to_exists() -> None:
    text = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    place = r"((?:nm_bus|agents|broker|schemas|tests|docs)/[\w./-]+)"
    named = re.findall(rf"`{place}`", text) + re.findall(
        rf"^    {place}(?= |$)", text, re.MULTILINE
    )
    assert len(named) > 40
    assert [place for place in named if not (CHECKOUT / place).exists()] == []


@each_titled
def test_a_message_that_is_shown_is_a_valid_one(document: Path) -> None:
    for block in blocks(document, "json"):
        decoded = decode(block.encode())
        assert not isinstance(decoded, Rejected), decoded


@each_titled
def test_python_that_is_shown_uses_what_there_is(document: Path) -> None:
    for block in blocks(document, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = __import__(node.module or "", fromlist=["_"])
                assert all(hasattr(module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "client":
                assert hasattr(Client, node.attr), node.attr
