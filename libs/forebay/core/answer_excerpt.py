"""The first words of a destination's answer, without what could be private.

A destination answers what it likes: its own error, but also what it was sent, or a credential.
Words that could be a number, an address, an id or a secret are left out: better one too many.
"""

import re
from typing import Final

from forebay.core.masking import printable

__all__ = ["EXCERPT_BYTES", "answer_excerpt"]

EXCERPT_BYTES: Final = 256
"""Of an answer that are looked at."""

_HIDDEN: Final = "…"

_WORD: Final = re.compile(r"""[^\s"'`<>{}\[\](),;:=/?&|\\]+""")
_LONG: Final = 20
"""Characters from which on a word is taken for an id or a secret."""

_DIGITS: Final = 4
"""Digits of a word that are still shown: a status, a line, a year."""

_NUMBER: Final = re.compile(r"[+(]*\d(?:[\s().\-/]*\d){4,}")
"""Five digits or more, with what people write between them."""

_AFTER_A_NAME: Final = 2
"""Words that are left out after a secret's name: `password is ...`."""

_NAMES_OF_SECRETS: Final = re.compile(
    r"(?i)(authorization|bearer|basic|token|secret|passw|pwd|cookie|signature|api.?key|session)"
)


def answer_excerpt(answer: bytes) -> str:
    """Return what may be kept of an answer's first bytes, in one line."""
    text = answer[:EXCERPT_BYTES].decode("utf-8", "replace")
    if len(answer) >= EXCERPT_BYTES:
        # The last word may have been cut in two, and half a secret has other features.
        text = text[: max(text.rfind(each) for each in (" ", "\n", ",", '"', ">")) + 1]
    text = _NUMBER.sub(_HIDDEN, text)
    shown: list[str] = []
    end = to_hide = 0
    for found in _WORD.finditer(text):
        word = found.group()
        shown.append(text[end : found.start()])
        end = found.end()
        is_name = _NAMES_OF_SECRETS.search(word) is not None
        is_hidden = (to_hide > 0 and not is_name) or _may_be_private(word)
        shown.append(_HIDDEN if is_hidden else word)
        to_hide = _AFTER_A_NAME if is_name else max(to_hide - 1, 0)
    shown.append(text[end:])
    return printable(" ".join("".join(shown).split()))


def _may_be_private(word: str) -> bool:
    return "@" in word or len(word) >= _LONG or sum(each.isdigit() for each in word) > _DIGITS
