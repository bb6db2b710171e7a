"""One meaning a name: a type's name exists once in the tree."""

import ast
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("nm_bus", "nm_broker", "nm_agents", "nm_lab")


def class_names() -> Iterator[str]:
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for path in Path(spec.origin).parent.rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
            yield from (name for name in names if not name.startswith("_"))


def test_no_type_has_the_name_of_another() -> None:
    twice = {name for name, count in Counter(class_names()).items() if count > 1}
    assert twice == set()
