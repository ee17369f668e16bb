"""What begins with an underscore is known in its own module and nowhere else.

Ruff's SLF001 holds `other._name` to this. Here is what it lets through: a private name that is
imported, and a private attribute that a class has from a base in another module. Circles of imports
are a contract of import-linter, in `pyproject.toml`.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for part in ("libs", "services", "operator", "simulator")
    for path in (ROOT / part).rglob("*.py")
)

INHERITED = {
    # The reading half of a connection is one object in three modules: composing them would cost
    # calls for each webhook.
    "services/receiver/forebay_receiver/handlers/request_reader.py",
    "services/receiver/forebay_receiver/handlers/webhook_protocol.py",
    # nats-py's client has no other way in for whoever wants messages without a queue and a task.
    "libs/forebay/runtime/jetstream/fast_subscriptions.py",
}
"""Modules whose classes may use private attributes of a base in another module."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def imported(tree: ast.Module) -> set[str]:
    """Return the private names that a module imports, and private modules by their names."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names if is_private(alias.name))
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found.update(name for name in modules if any(map(is_private, name.split("."))))
    return found


def inherited(tree: ast.Module) -> set[str]:
    """Return the private attributes of `self` that nothing in the module makes."""
    made, used = set[str](), set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                made.add(name)
            case ast.Name(id=name, ctx=ast.Store()):  # a field, or an attribute of the class
                made.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                made.add(name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name) if is_private(name):
                used.add(name)
            case _:
                pass
    return used - made


def test_no_module_uses_a_private_name_of_another() -> None:
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_bytes()) for path in SOURCES}
    names = {place: imported(tree) for place, tree in trees.items()}
    assert {place: found for place, found in names.items() if found} == {}
    attributes = {place: inherited(tree) for place, tree in trees.items()}
    places = {place for place, found in attributes.items() if found}
    assert {place: attributes[place] for place in places - INHERITED} == {}
    assert places == INHERITED, "what needs it no more is no longer in the list"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from a.b import _c", {"_c"}),
        ("from a._b import c", {"a._b"}),
        ("import a._b", {"a._b"}),
        ("from a import b\nfrom a import __version__", set()),
    ],
)
def test_an_imported_private_name_is_seen(text: str, found: set[str]) -> None:
    assert imported(ast.parse(text)) == found


def test_a_private_attribute_of_a_base_elsewhere_is_seen() -> None:
    text = """
class A(B):
    _field = 1
    def __init__(self):
        self._own = 1
    def _method(self):
        return self._own, self._field, self._method, self._base
"""
    assert inherited(ast.parse(text)) == {"_base"}
