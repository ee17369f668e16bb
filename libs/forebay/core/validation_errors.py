"""What is wrong with a manifest, in a person's words: where it is and what to do."""

import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from forebay.core.errors import ConfigurationError

__all__ = ["InvalidEndpoint", "Path", "Problem", "advice", "explain"]

_Details = Mapping[str, Any]
"""One entry of `ValidationError.errors()`, pydantic's `ErrorDetails`."""

Path = tuple[str | int, ...]
"""Where in a document: keys and positions from its root; empty for the whole of it."""


class Problem(NamedTuple):
    """One thing that is wrong with one endpoint."""

    endpoint: str
    """`namespace/name`, as far as it can be known; empty where it cannot."""

    path: Path
    reason: str
    """What is wrong there and what to do, in one line."""

    @property
    def field(self) -> str:
        """The path as people write it: `spec.destinations[0].http.url`."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text.removeprefix(".") or "(the whole document)"

    @property
    def line(self) -> str:
        """All of it in one line."""
        about = f"{self.endpoint}: " if self.endpoint else ""
        return f"{about}{self.field}: {self.reason}"


class InvalidEndpoint(ConfigurationError):  # noqa: N818  # named for what it is about
    """One or several endpoints that cannot be used; every problem has a line of the message."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems, of which there is at least one."""
        super().__init__("\n".join(problem.line for problem in problems))
        self.problems = tuple(problems)


_ADVICE: Final[Mapping[str, str]] = {
    "missing": "this field is missing: add it",
    "value_error": "{error}",
    "literal_error": "use {expected}",
    "string_type": "this has to be text: put it in quotes",
    "bool_type": "this has to be true or false, without quotes",
    "bool_parsing": "this has to be true or false",
    "int_parsing": "this has to be a whole number",
    "float_parsing": "this has to be a number",
    "path_type": "this has to be a path",
    "greater_than": "use more than {gt}",
    "less_than": "use less than {lt}",
    "string_too_short": "use at least {min_length} characters",
    "string_too_long": "use at most {max_length} characters",
    "int_type": "this has to be a whole number, without quotes",
    "int_from_float": "this has to be a whole number",
    "float_type": "this has to be a number, without quotes",
    "tuple_type": "this has to be a list: start each entry with a hyphen",
    "model_type": "this has to hold fields of its own, such as `name: value`",
    "dict_type": "this has to hold fields of its own, such as `name: value`",
    "too_short": "give at least {min_length} here",
    "too_long": "at most {max_length} fit here",
    "greater_than_equal": "use at least {ge}",
    "less_than_equal": "use at most {le}",
}
"""What to do about each type of error that pydantic finds here; its own words for all others."""

_KEY_MARK: Final = "[key]"
"""What pydantic puts at the end of a path for a mapping's key."""


def explain(
    error: ValidationError,
    root: type[BaseModel],
    endpoint: str,
    hints: Mapping[str, str],
) -> list[Problem]:
    """Return every problem of a document, in the order of its fields.

    Args:
        error: What pydantic found.
        root: The model of the whole document.
        endpoint: Whose document it is, as far as that is known.
        hints: What to do about certain unknown fields.
    """
    found = [(_path(details), details) for details in error.errors()]
    # An entry that could not be read is not counted: its list is then too short only by that.
    spoilt = {path[:end] for path, _ in found for end in range(len(path))}
    # A field that is misspelt is not missing, too.
    meant = {
        (*path[:-1], near)
        for path, details in found
        if details["type"] == "extra_forbidden" and (near := _near(path, root))
    }
    problems = [
        Problem(endpoint, path, _reason(path, details, root, hints))
        for path, details in found
        if not (details["type"] == "too_short" and path in spoilt)
        and not (details["type"] == "missing" and path in meant)
    ]
    return list(dict.fromkeys(problems))


def _path(details: _Details) -> Path:
    return tuple(part for part in details["loc"] if part != _KEY_MARK)


def _reason(
    path: Path,
    details: _Details,
    root: type[BaseModel],
    hints: Mapping[str, str],
) -> str:
    if details["type"] == "extra_forbidden":
        return _unknown(path, root, hints)
    return advice(details)


def advice(details: _Details) -> str:
    """Return what to do about a value, by one entry of `ValidationError.errors()`."""
    if details["type"] in _ADVICE:
        return _ADVICE[details["type"]].format(**details.get("ctx", {}))
    message: str = details["msg"]
    return message[0].lower() + message[1:]


def _unknown(path: Path, root: type[BaseModel], hints: Mapping[str, str]) -> str:
    """Say why a field is refused: it is of a later version, misspelt, or of nowhere."""
    field = str(path[-1])
    if field in hints:
        return hints[field]
    known = _fields_at(path[:-1], root)
    if near := _near(path, root):
        return f"there is no such field: did you mean `{near}`?"
    return f"there is no such field: those that can be here are {', '.join(known) or 'none'}"


def _near(path: Path, root: type[BaseModel]) -> str:
    """Return the field that an unknown one was probably meant to be; empty where there is none."""
    near = difflib.get_close_matches(to_camel(str(path[-1])), _fields_at(path[:-1], root), n=1)
    return near[0] if near else ""


def _fields_at(path: Path, root: type[BaseModel]) -> list[str]:
    """Return the names of the fields of the record at a path."""
    record: type[BaseModel] | None = root
    for part in path:
        if isinstance(part, int) or record is None:
            continue
        by_name = {field.alias or name: field for name, field in record.model_fields.items()}
        record = _record_in(by_name[part].annotation) if part in by_name else None
    if record is None:
        return []
    return [field.alias or name for name, field in record.model_fields.items()]


def _record_in(annotation: object) -> type[BaseModel] | None:
    """Return the record inside a field's type, such as that of `tuple[X, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _record_in(argument)
        if found is not None:
            return found
    return None
