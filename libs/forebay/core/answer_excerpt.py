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

_NAMES_OF_SECRETS: Final = re.compile(
    r"(?i)(authorization|bearer|basic|token|secret|passw|pwd|cookie|signature|api.?key|session)"
)


def answer_excerpt(answer: bytes) -> str:
    """Return what may be kept of an answer's first bytes, in one line."""
    text = answer[:EXCERPT_BYTES].decode("utf-8", "replace")
    if len(answer) >= EXCERPT_BYTES:
        # The last word may have been cut in two, and half a secret has other features.
        text = text[: max(text.rfind(each) for each in (" ", "\n", ",", '"', ">")) + 1]
    shown: list[str] = []
    end, follows_a_secrets_name = 0, False
    for found in _WORD.finditer(text):
        word = found.group()
        shown.append(text[end : found.start()])
        end = found.end()
        is_name = _NAMES_OF_SECRETS.search(word) is not None
        is_hidden = (follows_a_secrets_name and not is_name) or _may_be_private(word)
        shown.append(_HIDDEN if is_hidden else word)
        follows_a_secrets_name = is_name or (follows_a_secrets_name and not is_hidden)
    shown.append(text[end:])
    return printable(" ".join("".join(shown).split()))


def _may_be_private(word: str) -> bool:
    return "@" in word or len(word) >= _LONG or sum(each.isdigit() for each in word) > _DIGITS
