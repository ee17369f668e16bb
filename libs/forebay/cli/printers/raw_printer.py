"""What `forebay raw show` shows of a webhook: for people, or JSON for programs."""

import sys
from typing import Any, Final

import msgspec

from forebay.cli.printers.output_formatting import CELL, millis_text, utc_text
from forebay.core import envelope
from forebay.core.body_packing import SHOWN_LIMIT, as_it_came
from forebay.core.content_encoding import decode_body, is_supported
from forebay.core.errors import ForebayError
from forebay.core.json_values import Json
from forebay.core.masking import masked, printable
from forebay.core.signatures import SIGNATURE_HEADERS
from forebay.core.subjects import RawSubject
from forebay.core.tolerant_json import read_json
from forebay.runtime.jetstream.api import StoredMessage

__all__ = ["print_webhook"]

_SHOWN: Final = frozenset({envelope.CONTENT_TYPE.lower(), envelope.CONTENT_ENCODING.lower()})
"""Headers of the sender that say nothing of persons, nor prove who sent it."""


def print_webhook(stored: StoredMessage, shard: str, *, as_json: bool, reveal: bool) -> None:
    """Print one; what people wrote, and signatures, only where it is revealed."""
    facts = _facts(stored, shard, reveal=reveal)
    body = _body(stored, reveal=reveal)
    if as_json:
        # By msgspec: a number that nobody can hold is in the body as it came.
        _write(msgspec.json.encode({**facts, "body": body}).decode())
        return
    headers = facts.pop("headers")
    for name, value in (*facts.items(), *headers.items()):
        if value is not None:
            _write(f"{printable(name, CELL):<22} {printable(str(value), CELL)}")
    _write("")
    if isinstance(body, str):
        _write(body)
        return
    text = msgspec.json.format(msgspec.json.encode(body), indent=2)
    for line in text.decode().split("\n"):
        _write(line)


def _facts(stored: StoredMessage, shard: str, *, reveal: bool) -> dict[str, Any]:
    try:
        subject = RawSubject.parse(stored.subject)
        endpoint, lane = str(subject.endpoint), str(subject.lane)
    except ValueError:
        endpoint, lane = None, None
    received = envelope.received_millis(stored.headers)
    shown = {
        name: text
        for name, text in stored.headers.items()
        if name.lower() in _SHOWN or (reveal and name.lower() in SIGNATURE_HEADERS)
    }
    return {
        "sequence": stored.sequence,
        "shard": shard,
        "endpoint": endpoint,
        "lane": lane,
        "receivedAt": millis_text(received) if received else None,
        "storedAt": utc_text(stored.stored_at),
        "bytes": len(as_it_came(stored.payload, stored.headers)),
        "storedBytes": len(stored.payload),
        "reason": stored.headers.get(envelope.REASON),
        "headers": shown,
    }


def _body(stored: StoredMessage, *, reveal: bool) -> Json:
    content = as_it_came(stored.payload, stored.headers)
    encoding = stored.headers.get(envelope.CONTENT_ENCODING, "")
    try:
        if is_supported(encoding):
            content = decode_body(content, encoding, SHOWN_LIMIT)
        document, _ = read_json(content)
    except ForebayError:
        return content.decode(errors="replace") if reveal else f"<{len(content)} bytes, no JSON>"
    if reveal:
        return document
    # The Cloud API's fields are documented; those of any other body can be somebody's own.
    return masked(document, known=isinstance(document, dict) and "entry" in document)


def _write(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
