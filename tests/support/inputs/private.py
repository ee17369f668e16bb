"""What must be seen nowhere: secrets, and what people and businesses wrote; and a search for it."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

from support.inputs.corpus import PAYLOADS

__all__ = ["CONTENT", "PLATFORM_WORDS", "found", "leaves"]

SHORTEST: Final = 6
"""Characters. `Cleo` or `09:30` would be found by chance, in an id or a time."""

PLATFORM_WORDS: Final = frozenset(
    {
        "account_mode",
        "action",
        "alert_severity",
        "alert_status",
        "alert_type",
        "category",
        "code",
        "currency",
        "current_limit",
        "decision",
        "direction",
        "entity_type",
        "event",
        "field",
        "max_daily_conversations_per_business",
        "media_type",
        "message_template_category",
        "message_template_language",
        "messaging_product",
        "mime_type",
        "new_category",
        "new_quality_score",
        "new_status",
        "object",
        "old_status",
        "previous_category",
        "previous_quality_score",
        "pricing_model",
        "recipient_type",
        "sdp_type",
        "source_type",
        "status",
        "type",
        "waba_ban_state",
    }
)
"""Keys whose values are the platform's own words, the same for everyone."""

TIMES: Final = frozenset(
    {"end_time", "expiration_timestamp", "start_time", "time", "timestamp", "created_at"}
)

FRACTION: Final = re.compile(r"-?\d+\.\d+")
"""A number with a fraction, such as a place on earth in degrees."""


def leaves(node: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Return every value of a JSON document as text, with the key that it stands under."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from leaves(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, key)
    elif node is not None and not isinstance(node, bool):
        yield key, str(node)


CONTENT: Final = frozenset(
    value
    for each in PAYLOADS.values()
    for key, value in leaves(json.loads(each.body))
    if len(value) >= SHORTEST and key not in PLATFORM_WORDS | TIMES
)
"""All values of the corpus that say something of a person or a business."""


def _forms(needle: str) -> Iterable[str]:
    """Return how a text may look once it went through JSON, a URL, base64, hex or repr."""
    data = needle.encode()
    return {
        needle,
        json.dumps(needle)[1:-1],
        json.dumps(json.dumps(needle)[1:-1])[1:-1],
        repr(needle)[1:-1],
        repr(data)[2:-1],
        quote(needle, safe=""),
        quote_plus(needle),
        base64.b64encode(data).decode().rstrip("="),
        data.hex(),
    }


def found(needles: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """Return where something private is seen: the place, the needle, and the text around it."""
    hits: list[str] = []
    forms = [(needle, _pattern(form)) for needle in sorted(needles) for form in _forms(needle)]
    for place, text in texts.items():
        for needle, form in forms:
            hit = form.search(text)
            if hit is not None:
                around = text[max(0, hit.start() - 80) : hit.end() + 80]
                hits.append(f"{place}: {needle!r} in {around!r}")
    return hits


def _pattern(form: str) -> re.Pattern[str]:
    # A single word has to stand alone: a person's `Cancel` is not that of `CancelledError`. So has
    # a number with a fraction: the time 21:22:52.500122 does not show the latitude 52.5001.
    if form.isalpha():
        return re.compile(rf"\b{form}\b")
    if FRACTION.fullmatch(form):
        return re.compile(rf"(?<![\d.]){re.escape(form)}(?!\d)")
    return re.compile(re.escape(form))
