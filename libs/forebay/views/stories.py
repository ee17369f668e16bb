"""What happened to one item, and where it is now, as `events show` tells it."""

from datetime import datetime
from typing import Any, Final

from forebay.core import envelope
from forebay.core.index_records import IndexOutcome, ItemHandled, ItemStored
from forebay.core.subjects import DeadSubject
from forebay.runtime.item_index import ItemStory
from forebay.views.items import handled_facts
from forebay.views.texts import millis_text, utc_text

__all__ = ["present_lines", "story_facts"]

RETRY_DESTINATION: Final = 7
"""The place of the destination in subjects of RETRY. They are not read whole: a lane that nobody
knows is somebody else's, and no reason to tell nothing."""


def story_facts(story: ItemStory, now: datetime, *, reveal: bool) -> dict[str, Any]:
    """Return what a program gets of a story; `now` is the time of this machine."""
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
        "now": present_lines(story, now),
    }


def present_lines(story: ItemStory, now: datetime) -> list[str]:
    """Say where an item is at this moment."""
    told = []
    for row in story.waiting:
        destination = row.subject.split(".")[RETRY_DESTINATION]
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
    others = sorted({each.destination for each in story.handled} - places - {""})
    told += [f"{destination}: {_over(story, destination)}" for destination in others]
    if not told and not any(each.outcome is IndexOutcome.UNWANTED for each in story.handled):
        told.append("stored, and no attempt is known: it is about to be tried, or waits for that")
    return told


def _over(story: ItemStory, destination: str) -> str:
    """Say how it ended at a destination where it waits no more and is no dead letter."""
    outcomes = {each.outcome for each in story.handled if each.destination == destination}
    if IndexOutcome.DELIVERED in outcomes:
        return "delivered"
    if outcomes == {IndexOutcome.FILTERED}:
        return "filtered"
    return "not delivered as far as is known, and waits nowhere"


def _until(due: int, now: datetime) -> str:
    """Say when an item is tried next: a breaker, which no record has, may hold it for longer."""
    if due > now.timestamp() * 1000:
        return f", next attempt {millis_text(due)} or later"
    return ", its own pause is over: `forebay destinations ls` shows when the destination is tried"


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
