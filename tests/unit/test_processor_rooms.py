"""The processor's rooms: each module is documented, and a class's name names one class."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "services" / "processor" / "forebay_processor"
PAGE = ROOT / "docs" / "development" / "processor.md"

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def test_no_two_classes_have_one_name() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_page_names_each_module_of_each_room() -> None:
    first, *rooms = re.split(r"^### (?=\w+/)", PAGE.read_text(), flags=re.MULTILINE)
    documented = set(re.findall(r"`([\w/]+\.py)`", first))
    for room in rooms:
        folder = room.partition("/")[0]
        documented |= {f"{folder}/{name}" for name in re.findall(r"`([\w/]+\.py)`", room)}
    assert documented == {str(path.relative_to(PACKAGE)) for path in MODULES}
