"""A dead letter as `dead ls` and `dead show` show it."""

from datetime import UTC, datetime
from typing import Any

from forebay.core import envelope
from forebay.core.dead_letters import DeadLetter
from forebay.core.provider_vocabulary import known_word
from forebay.views.texts import shown_channel, utc_or_none

__all__ = ["letter_facts"]


def letter_facts(letter: DeadLetter, *, reveal: bool) -> dict[str, Any]:
    """Return all but the content; what could identify a person only if revealed."""
    subject, item = letter.subject, letter.item
    facts: dict[str, Any] = {
        "id": subject.key,
        "endpoint": str(subject.endpoint),
        "destination": subject.destination,
        "kind": letter.kind,
        "type": None if item is None else item.type if reveal else known_word(item.type),
        "reason": letter.reason,
        "error": letter.error,
        "attempts": letter.attempts,
        "diedAt": utc_or_none(letter.died_at),
        "receivedAt": utc_or_none(letter.received_at),
        "happenedAt": None if item is None else item.time,
        "channel": None if item is None else shown_channel(item.channel, reveal=reveal),
        "shard": subject.shard,
        "sequence": letter.sequence,
        "bytes": letter.size,
        "replayedBefore": envelope.REPLAY_OF in letter.headers,
        "deathsBefore": [
            {
                "diedAt": utc_or_none(datetime.fromtimestamp(each.at / 1000, UTC)),
                "destination": each.destination,
                "reason": each.reason,
                "error": each.error,
                "attempts": each.attempts,
            }
            for each in letter.deaths
        ],
    }
    if reveal:
        facts["itemkey"] = None if item is None else item.key
        facts["conversation"] = letter.headers.get(envelope.CONVERSATION)
        facts["traceparent"] = letter.headers.get(envelope.TRACEPARENT)
    return facts
