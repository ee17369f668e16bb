"""What a schema of events promises to who reads them, a line for each attribute and property.

Names of definitions and descriptions are left out: they may change. `tests/data/schemas` holds the
lines that each version of the format added.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

__all__ = ["FROZEN", "broken_promises", "promises", "read_promises", "written_promises"]

FROZEN: Final = Path(__file__).parents[2] / "data" / "schemas"
"""A file for each version of the format, with the lines that it added: `1.1.txt`."""

_BOUNDS: Final = ("const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum")

Schema = Mapping[str, Any]


def promises(document: Schema, root: Schema) -> dict[str, str]:
    """Return what is promised of each place below a schema, such as `data[calls].value: object`.

    Args:
        document: What references lead into.
        root: The schema of an event, in the document or beside it.
    """
    return dict(_Walk(document).below(root, "", is_required=True))


def written_promises(found: Mapping[str, str]) -> str:
    """Return them as a file has them."""
    return "".join(f"{path}: {text}\n" for path, text in sorted(found.items()))


def read_promises(text: str) -> dict[str, str]:
    """Return what a file has."""
    return dict(line.split(": ", 1) for line in text.splitlines())


def broken_promises(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what an earlier version promised and a later one does not keep."""
    gone = [f"{path} is gone" for path in before if path not in now]
    changed = [
        f"{path} was {text!r} and is {now[path]!r}"
        for path, text in before.items()
        if path in now and not _is_kept(text, now[path])
    ]
    demanded = [
        f"{path} is new and always there: what an earlier version stored has it not"
        for path, text in now.items()
        if path not in before and text.startswith("always ")
    ]
    return gone + changed + demanded


_CHOICES: Final = " one of "


def _is_kept(before: str, now: str) -> bool:
    """Say whether a place is as it was; of a list of values others may be added."""
    (head, _, values), (new_head, _, new_values) = (
        text.partition(_CHOICES) for text in (before, now)
    )
    return head == new_head and set(values.split()) <= set(new_values.split())


class _Walk:
    """A way through a document."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def below(self, schema: Schema, path: str, *, is_required: bool) -> Iterator[tuple[str, str]]:
        """Yield what is promised of a place, and of all below it."""
        forms = list(self._forms(schema))
        if path:
            presence = "always" if is_required else "optional"
            kinds = sorted({each for form in forms for each in _kinds(form)})
            bounds = [
                f" {name}={form[name]!r}" for form in forms for name in _BOUNDS if name in form
            ]
            values = [str(each) for form in forms for each in form.get("enum", ())]
            choices = _CHOICES + " ".join(values) if values else ""
            yield path, f"{presence} {'|'.join(kinds)}{''.join(bounds)}{choices}"
        for form in forms:
            for name, inner in form.get("properties", {}).items():
                here = f"{path}.{name}" if path else name
                yield from self.below(inner, here, is_required=name in form.get("required", ()))
            if "items" in form:
                yield from self.below(form["items"], f"{path}[]", is_required=False)
            for case in form.get("allOf", ()):
                yield from self._of_kind(case)

    def _of_kind(self, case: Schema) -> Iterator[tuple[str, str]]:
        kind = case["if"]["properties"]["type"]["const"].rpartition(".")[2]
        for name, inner in case["then"]["properties"].items():
            yield from self.below(inner, f"{name}[{kind}]", is_required=False)

    def _forms(self, schema: Schema) -> Iterator[Schema]:
        """Yield the forms that something may have, references followed."""
        if "$ref" in schema:
            part: Any = self._document
            for name in schema["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            yield from self._forms(part)
        elif "anyOf" in schema:
            for each in schema["anyOf"]:
                yield from self._forms(each)
        else:
            yield schema


def _kinds(form: Schema) -> list[str]:
    kind = form.get("type", "any")
    return [kind] if isinstance(kind, str) else list(kind)
