"""Subjects that a `nats` destination publishes to: a template, and what stands in its places.

A subject is what decides who hears a message, and on a NATS that is Forebay's own it would decide
what Forebay believes. So a template begins with a word that is written out and is not ours:
nothing that a manifest or a webhook says can make a subject of `forebay.>`, of JetStream's own
(`$JS.>`), of the system (`$SYS.>`) or of an inbox (`_INBOX.>`). Whoever renders one asks
`is_free_subject` again: tables can be written by hand.

What comes from a webhook is one word of a closed list, digits, or `other`: never a dot, a wildcard
or white space, so that no webhook can change how many words a subject has.
"""

import re
from collections.abc import Mapping
from typing import Final

__all__ = [
    "OTHER",
    "PLACES",
    "SUBJECT_PATTERN",
    "SUBJECT_SIZE",
    "is_free_subject",
    "places_of",
    "rendered_subject",
    "subject_word",
]

PLACES: Final = (
    "namespace",
    "endpoint",
    "destination",
    "kind",
    "type",
    "lane",
    "channel",
    "conversation",
)
"""What may stand in braces: `{kind}`."""

SUBJECT_SIZE: Final = 255
"""Characters of a template."""

_PLACE: Final = r"\{(?:" + "|".join(PLACES) + r")\}"

SUBJECT_PATTERN: Final = r"[A-Za-z0-9-][A-Za-z0-9_-]*(?:\.(?:[A-Za-z0-9_-]|" + _PLACE + r")+){0,15}"
"""Of a template: 16 words at most, the first of them written out."""

_TEMPLATE: Final = re.compile(SUBJECT_PATTERN)
_FOUND: Final = re.compile(r"\{([a-z]+)\}")
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RENDERED: Final = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")

OTHER: Final = "other"
"""Stands for what cannot be a word of a subject."""


def is_free_subject(template: str) -> bool:
    """Say whether a template can be used, and leads to nothing that is Forebay's or NATS' own."""
    return (
        len(template) <= SUBJECT_SIZE
        and _TEMPLATE.fullmatch(template) is not None
        and template.partition(".")[0].lower() != "forebay"
    )


def places_of(template: str) -> frozenset[str]:
    """Return which of `PLACES` a template has."""
    return frozenset(_FOUND.findall(template))


def subject_word(text: str) -> str:
    """Return a text as one word of a subject; `other` for one that cannot be."""
    return text if _WORD.fullmatch(text) is not None else OTHER


def rendered_subject(template: str, values: Mapping[str, str]) -> str:
    """Return a subject.

    Args:
        template: One for which `is_free_subject` holds.
        values: A text for each of `places_of` it.

    Raises:
        ValueError: where what comes out is no subject, or could be Forebay's or NATS' own.
    """
    subject = _FOUND.sub(lambda found: subject_word(values[found.group(1)]), template)
    if _RENDERED.fullmatch(subject) is None or not is_free_subject(template):
        message = "this is no subject for a destination"
        raise ValueError(message)
    return subject
