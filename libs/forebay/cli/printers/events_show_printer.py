"""What `forebay events show` prints: lines by time for people, or JSON for programs."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from forebay.core.failure_words import plain_failure
from forebay.core.index_records import IndexOutcome, ItemHandled
from forebay.core.masking import printable
from forebay.runtime.item_index import ItemStory
from forebay.views.stories import present_lines, story_facts
from forebay.views.texts import millis_text

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
            _write(json.dumps(story_facts(story, now, reveal=reveal), ensure_ascii=False))
            continue
        if number:
            _write("")
        first = story.stored[0]
        _write(f"{first.kind} at {first.endpoint}, id {story.token}")
        for at, text in sorted(_lines(story, reveal=reveal)):
            _write(f"  {millis_text(at)}  {text}")
        for text in present_lines(story, now):
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
        case IndexOutcome.FILTERED:
            return f"{record.destination}: its filter does not let it through"
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


def _write(line: str) -> None:
    sys.stdout.write(printable(line, None) + "\n")
