"""A name means one thing in the whole repository, and a module is about one thing."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for part in ("libs", "services", "operator", "simulator")
    for path in (ROOT / part).rglob("*.py")
)

MOST_LINES = 400
"""Of a module: a longer one has a second thing that it is about."""


def public_classes(path: Path) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]


def test_no_public_class_has_a_name_twice() -> None:
    places = defaultdict[str, list[str]](list)
    for path in SOURCES:
        for name in public_classes(path):
            places[name].append(str(path.relative_to(ROOT)))
    assert places
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_is_too_long() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
