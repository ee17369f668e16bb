"""Which items were sent and which were accepted: what a test holds against the destination's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

import msgspec

from forebay.core.subjects import key_token
from forebay_simulator.expected_keys import RECEIPT_WINDOW

__all__ = ["WebhookRecord", "write_ledger"]


@dataclass(slots=True, kw_only=True)
class WebhookRecord:
    """What came of one webhook; it changes while the run goes on."""

    index: int
    """Which webhook, in the order of the first sending."""

    keys: tuple[str, ...]
    """The keys of its items."""

    accepted: bool = False
    """Whether any sending of it was answered 200."""

    attempts: int = 0
    """How often it was sent: first attempt, retries and repeats."""


def write_ledger(file: IO[bytes], records: Iterable[WebhookRecord]) -> None:
    """Write one JSON line per webhook: index, keys, tokens, accepted, attempts.

    A token is what destinations get as `webhook-id`; null where the key depends on the receipt.
    """
    for record in records:
        line = {
            "index": record.index,
            "keys": record.keys,
            "tokens": [
                None if key.endswith(RECEIPT_WINDOW) else key_token(key) for key in record.keys
            ],
            "accepted": record.accepted,
            "attempts": record.attempts,
        }
        file.write(msgspec.json.encode(line) + b"\n")
