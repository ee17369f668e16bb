"""What the benches send: webhooks of a size, no two alike."""

import json
from collections.abc import Iterator
from typing import Final

from support.inputs.corpus import payload

__all__ = ["HALF_KB", "Size", "bodies"]

Size = float
"""Kilobytes of a body, roughly."""

HALF_KB: Final = 0.5
"""One text message: what nearly all webhooks are."""


def bodies(size: Size, count: int, *, mark: str = "BENCH") -> Iterator[str]:
    """Give one body after the other, on one line each; the mark and a number make each another.

    Large ones are batches, as providers send them after an outage of theirs or ours.
    """
    document = json.loads(payload("messages-text").body)
    (change,) = document["entry"][0]["changes"]
    wamid: str = change["value"]["messages"][0]["id"]
    one = len(_compact(change)) + 1
    document["entry"][0]["changes"] = [change] * max(1, round(size * 1000 / one))
    pieces = _compact(document).split(wamid)
    for number in range(count):
        parts = [pieces[0]]
        for message, piece in enumerate(pieces[1:]):
            parts += (f"wamid.{mark}{number:09d}{message:04d}", piece)
        yield "".join(parts)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
