"""The chart's README: a table of all values, made of the comments in values.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from support.cluster.chart import CHART

__all__ = ["README", "Row", "readme", "rows"]

README: Final = CHART / "README.md"

_KEY: Final = re.compile(r"^(?P<indent> *)(?P<item>- )?(?P<key>[A-Za-z]\w*):")

_HEAD: Final = """\
# Helm chart of Forebay

How to install it, and what it promises: [docs/kubernetes.md](../../docs/kubernetes.md). Sets of
values to start from: [ci/](ci/).

All values. `make generate` writes this table from the comments in [values.yaml](values.yaml); a
value that is not here is refused (`values.schema.json`).

| value | default | meaning |
| --- | --- | --- |
"""


class Row(NamedTuple):
    """One value."""

    path: tuple[str, ...]
    """Keys from the top; `[]` stands for each item of a list."""

    default: Any
    meaning: str

    @property
    def name(self) -> str:
        """The path as `--set` wants it, but for lists."""
        return ".".join(self.path).replace(".[]", "[]")


def rows() -> Iterator[Row]:
    """Yield every value that a comment explains, in the file's order."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    stack: list[tuple[int, str]] = []
    meaning: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            meaning = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("#"):
            meaning += [stripped.removeprefix("#").strip()] if meaning else []
        elif found := _KEY.match(line):
            indent = len(found["indent"])
            while stack and stack[-1][0] >= indent + (2 if found["item"] else 0):
                stack.pop()
            if found["item"]:
                stack.append((indent, "[]"))
                indent += 2
            stack.append((indent, found["key"]))
            if meaning:
                path = tuple(key for _, key in stack)
                yield Row(path, _at(values, path), " ".join(meaning))
            meaning = []


def readme() -> str:
    """Return the whole file."""
    lines = [
        f"| `{row.name}` | `{_short(row.default)}` | {row.meaning.replace('|', '/')} |"
        for row in rows()
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _at(values: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401  # any value of the chart
    for key in path:
        values = values[0] if key == "[]" else values[key]
    return values


def _short(value: object) -> str:
    """Return a value as YAML in one line, long text by its beginning."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
