"""What `forebay events show` prints: lines by time for people, or JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from forebay.cli.printers.index_record_facts import handled_facts
from forebay.cli.printers.output_formatting import millis_text, utc_text
from forebay.core import envelope
from forebay.core.failure_words import plain_failure
from forebay.core.index_records import IndexOutcome, ItemHandled, ItemStored
from forebay.core.masking import printable
from forebay.core.subjects import DeadSubject, RetrySubject
from forebay.runtime.item_index import ItemStory

__all__ = ["print_stories"]

_STORED: Final = {
    IndexOutcome.NEW: "stored as an item",
    IndexOutcome.VARIANT: "stored as a variant: its id had come with other content",
    IndexOutcome.REPEAT: "repeat: the same came before, nothing was done",
}


def print_stories(
    stories: Sequence[ItemStory],
    output: Literal["table", "json"],
    *,
    reveal: bool,
    now: datetime,
) -> None:
    """Print what is known of some items; what destinations answered only where it is revealed.

    `now` is the time of this machine: a pause that is over by it has another sentence.
    """
    for number, story in enumerate(stories):
        if output == "json":
            _write(json.dumps(_facts(story, now, reveal=reveal), ensure_ascii=False))
            continue
        if number:
            _write("")
        first = story.stored[0]
        _write(f"{first.kind} at {first.endpoint}, id {story.token}")
        for at, text in sorted(_lines(story, reveal=reveal)):
            _write(f"  {millis_text(at)}  {text}")
        for text in _present(story, now):
            _write(f"  {'now':<24}  {text}")


def _lines(story: ItemStory, *, reveal: bool) -> Iterator[tuple[int, str]]:
    for stored in story.stored:
        if stored.received:
            yield stored.received, f"received (webhook {stored.raw} of RAW)"
        yield stored.at, _STORED.get(stored.outcome, stored.outcome)
    for handled in story.handled:
        yield handled.at, _handled(handled, reveal=reveal)


def _handled(record: ItemHandled, *, reveal: bool) -> str:
    why = plain_failure(record.why)
    match record.outcome:
        case IndexOutcome.UNWANTED:
            return "no destination of the endpoint is for it"
        case IndexOutcome.PARKED:
            return f"{record.destination}: waits, not tried yet"
        case IndexOutcome.DEAD:
            return f"{record.destination}: given up ({why})"
        case _:
            pass
    text = f"{record.destination}: attempt {record.attempt} {record.outcome}"
    if why:
        text += f" ({why})"
    text += f" in {record.millis} ms"
    if record.due:
        text += f", next attempt {millis_text(record.due)}"
    if record.said:
        said = record.said if reveal else f"{len(record.said)} characters, --reveal shows them"
        text += f", answer: {said}"
    return text


def _present(story: ItemStory, now: datetime) -> list[str]:
    """Say where an item is at this moment."""
    told = []
    for row in story.waiting:
        destination = RetrySubject.parse(row.subject).destination
        last = [each for each in story.handled if each.destination == destination and each.due]
        until = _until(last[-1].due, now) if last else ""
        told.append(f"{destination}: waits since {utc_text(row.stored_at)}{until}")
    for letter in story.dead:
        subject = DeadSubject.parse(letter.subject)
        reason = letter.headers.get(envelope.REASON, "")
        told.append(
            f"{subject.destination}: dead letter ({reason}), see `forebay dead show "
            f"{subject.key[:12]}`"
        )
    places = {text.partition(":")[0] for text in told}
    for destination in sorted({each.destination for each in story.handled} - places - {""}):
        is_delivered = any(
            each.destination == destination and each.outcome is IndexOutcome.DELIVERED
            for each in story.handled
        )
        told.append(
            f"{destination}: delivered"
            if is_delivered
            else f"{destination}: not delivered as far as is known, and waits nowhere"
        )
    if not told and not any(each.outcome is IndexOutcome.UNWANTED for each in story.handled):
        told.append("stored, and no attempt is known: it is about to be tried, or waits for that")
    return told


def _until(due: int, now: datetime) -> str:
    """Say when an item is tried next: a breaker, which no record has, may hold it for longer."""
    if due > now.timestamp() * 1000:
        return f", next attempt {millis_text(due)} or later"
    return ", its own pause is over: `forebay destinations ls` shows when the destination is tried"


def _facts(story: ItemStory, now: datetime, *, reveal: bool) -> dict[str, Any]:
    first = story.stored[0]
    return {
        "id": story.token,
        "endpoint": first.endpoint,
        "kind": first.kind,
        "channel": first.channel,
        "conversation": first.conversation,
        "shard": story.shard,
        "stored": [_stored_facts(each) for each in story.stored],
        "handled": [_handled_facts(each, reveal=reveal) for each in story.handled],
        "now": _present(story, now),
    }


def _stored_facts(record: ItemStored) -> dict[str, Any]:
    return {
        "at": millis_text(record.at),
        "outcome": record.outcome,
        "receivedAt": millis_text(record.received) if record.received else None,
        "rawSequence": record.raw,
    }


def _handled_facts(record: ItemHandled, *, reveal: bool) -> dict[str, Any]:
    # What is of no destination has an empty string here and null in `ls`, which came later.
    return {**handled_facts(record, reveal=reveal), "destination": record.destination}


def _write(line: str) -> None:
    sys.stdout.write(printable(line, None) + "\n")
