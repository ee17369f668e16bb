"""The worst bodies of the largest size that anyone could think of, and two that are no fault."""

import base64
import json
import random
from collections.abc import Sequence
from typing import Final

__all__ = ["LARGEST", "WORST_BODIES", "history", "varied_history"]

LARGEST: Final = 4 * 1024 * 1024
"""What a receiver takes."""


def _filled(head: bytes, part: bytes, tail: bytes) -> bytes:
    """Return a body with a part again and again, as often as goes into the largest."""
    return head + part * ((LARGEST - len(head) - len(tail)) // len(part)) + tail


_CHANGES: Final = b'{"entry":[{"changes":['
_VALUE: Final = b'{"entry":[{"changes":[{"field":"messages","value":{'
_DEEP: Final = 900
"""Within what a decoder bears."""


def history(size: int = LARGEST) -> bytes:
    """Return a chat history, as a provider sends it when a number joins."""
    text = _message("As we said: the parcel comes tomorrow between nine and noon.")
    one = _history_of([text])
    return one.replace(text, b",".join([text] * ((size - len(one)) // (len(text) + 1))))


def varied_history(size: int = LARGEST) -> bytes:
    """Return a chat history in which all ids, times and words are by chance."""
    chance = random.Random(1)
    words = [chance.randbytes(chance.randint(1, 4)).hex() for _ in range(5_000)]
    messages: list[bytes] = []
    left = size - 1_000
    while left > 0:
        text = " ".join(chance.choices(words, k=chance.randint(3, 25)))
        messages.append(_message(text, chance.getrandbits(240)))
        left -= len(messages[-1]) + 1
    return _history_of(messages)


def _message(text: str, number: int = 0) -> bytes:
    wamid = base64.b64encode(b"\x1d\x18\x0b15550001234" + number.to_bytes(30)).decode()
    message = {
        "from": "15550001234",
        "id": f"wamid.{wamid}",
        "timestamp": str(1_767_225_600 + number % 10_000_000),
        "type": "text",
        "text": {"body": text},
        "history_context": {"status": "READ"},
    }
    return json.dumps(message).encode()


def _history_of(messages: Sequence[bytes]) -> bytes:
    threads = [{"id": "15550001234", "messages": []}]
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009000", "phone_number_id": "108200000000301"},
        "history": [
            {"metadata": {"phase": 0, "chunk_order": 1, "progress": 5}, "threads": threads}
        ],
    }
    change = {"field": "history", "value": value}
    document = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    return json.dumps(document).encode().replace(b"[]", b"[%b]" % b",".join(messages))


WORST_BODIES: Final[dict[str, bytes]] = {
    "a history": history(),
    "one long text": _filled(_VALUE + b'"messages":[{"text":"', b"x", b'"}]}}]}]}'),
    "zeros": _filled(_CHANGES, b"0,", b"0]}]}"),
    "empty objects": _filled(_CHANGES, b"{},", b"{}]}]}"),
    "empty messages": _filled(_VALUE + b'"messages":[', b"{},", b"{}]}}]}]}"),
    "empty statuses": _filled(_VALUE + b'"statuses":[', b"{},", b"{}]}}]}]}"),
    "empty lists": _filled(b'{"entry":[', b"[],", b"[]]}"),
    "nested lists": _filled(_CHANGES, b"[" * _DEEP + b"]" * _DEEP + b",", b"0]}]}"),
    "nesting without an end": _filled(_CHANGES, b"[", b""),
    "nesting too deep": _CHANGES
    + b"[" * (LARGEST // 2 - 40)
    + b"]" * (LARGEST // 2 - 40)
    + b"]}]}",
    "many entries": _filled(b'{"entry":[', b'{"changes":[{"value":{}}]},', b"{}]}"),
    "many fields": _filled(b'{"entry":[{"changes":[', b'{"field":"messages"},', b"{}]}]}"),
    "repeated names": _filled(_VALUE, b'"statuses":[{}],', b'"x":1}}]}]}'),
    "many names": _filled(_VALUE, b'"":0,', b'"x":1}}]}]}'),
    "long names": _filled(_VALUE + b'"', b"n", b'":1}}]}]}'),
    "quotes": _filled(_CHANGES, b'"",', b'""]}]}'),
    "escapes": _filled(_VALUE + b'"x":"', b"\\n", b'"}}]}]}'),
    "half emojis": _filled(_VALUE + b'"messages":[{"text":"', b"\\ud83d", b'"}]}}]}]}'),
    "no utf-8": _filled(_VALUE + b'"messages":[{"text":"', b"\xff", b'"}]}}]}]}'),
    "numbers beyond floats": _filled(_CHANGES, b"1e400,", b"0]}]}"),
    "one long number": _filled(_CHANGES, b"9", b"]}]}"),
    "space": _filled(_VALUE + b'"messages"', b" ", b":[{}]}}]}]}"),
    "what cannot be packed": _VALUE
    + b'"messages":[{"text":"'
    + base64.b64encode(random.Random(1).randbytes(3 * (LARGEST // 4 - 30)))
    + b'"}]}}]}]}',
    "almost names": _filled(_CHANGES, b'"messages": ,', b'""]}]}'),
}
"""By what they are."""
