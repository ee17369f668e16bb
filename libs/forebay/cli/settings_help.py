"""What `--settings` shows: every variable of a part, its default, and what it is for.

The text is read from where a setting is declared, so that there is one place for it.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator
from textwrap import indent

from pydantic import SecretStr
from pydantic_settings import BaseSettings

__all__ = ["settings_text"]


def settings_text(kinds: Iterable[type[BaseSettings]]) -> str:
    """Return all settings of these kinds: name, default, and indented what it is for."""
    return "\n\n".join(entry for kind in kinds for entry in _entries(kind))


def _entries(kind: type[BaseSettings]) -> Iterator[str]:
    prefix = kind.model_config.get("env_prefix", "")
    texts = _docstrings(kind)
    for name, field in kind.model_fields.items():
        default = "(has to be set)" if field.is_required() else _default_text(field.default)
        head = f"{prefix}{name.upper()}  {default}"
        yield "\n".join([head, indent(texts.get(name, ""), "    ")]).rstrip()


def _default_text(default: object) -> str:
    match default:
        case None | SecretStr():
            return "(not set)"
        case tuple():
            return f"[{','.join(map(str, default))}]"
        case _:
            return f"[{default}]"


def _docstrings(kind: type[BaseSettings]) -> dict[str, str]:
    """Return the strings that stand below the fields of a class."""
    (body,) = ast.parse(inspect.getsource(kind)).body
    texts: dict[str, str] = {}
    if not isinstance(body, ast.ClassDef):
        return texts
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            texts[field.target.id] = inspect.cleandoc(str(below.value.value))
    return texts
