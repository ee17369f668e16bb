"""An item as the columns that a destination `postgres` is handed, and the size of them.

Two things that JSON can hold PostgreSQL cannot: U+0000 in a text, which `jsonb` refuses, and what
is beyond its own bounds, such as lists in lists by the ten thousand. The first is known here:
`data` then has U+FFFD in its place, and `data_text` the JSON as it came, where it is six plain
characters. The second the server says: `as_text` is the row for that, without `data`.

What names a message is read here and not in SQL, where one value of another type than expected
fails a batch.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from forebay.core.events import subject_of
from forebay.core.json_values import as_text
from forebay.core.status_ranks import STATUS_KIND, STATUS_RANKS
from forebay_processor.destinations.cloudevents import attribute_text
from forebay_processor.destinations.port import Attempt
from forebay_processor.destinations.postgres.statements import COLUMNS

__all__ = ["PostgresRow", "columns_of", "has_pairs", "row_of"]

OVERHEAD_BYTES: Final = 400
"""Of a row, beside its data."""

ID_BYTES: Final = 512
"""Of what names a message: an entry of an index holds 2.7 kB. One that is longer has its row in
`events` alone."""

SUBJECT_BYTES: Final = 2048
"""Of a subject, which has an index of its own. A longer one is in `data` alone."""

_INT8: Final = 1 << 63

_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_DATA: Final = tuple(COLUMNS).index("data")
_DATA_TEXT: Final = tuple(COLUMNS).index("data_text")
_JSON: Final = tuple(tuple(COLUMNS).index(name) for name in ("data", "errors", "pricing"))
_RECEIVED_AT: Final = tuple(COLUMNS).index("received_at")
_CONVERSATION: Final = tuple(COLUMNS).index("conversation")
_MESSAGE: Final = tuple(COLUMNS).index("message_id")
_PARTICIPANT: Final = tuple(COLUMNS).index("participant")
_CHANNEL: Final = tuple(COLUMNS).index("channel")


class _Error(msgspec.Struct, gc=False):
    code: Any = None


class _Status(msgspec.Struct, gc=False):
    id: Any = None
    type: Any = None
    status: Any = None
    recipient_id: Any = None
    recipient_user_id: Any = None
    recipient_participant_user_id: Any = None
    recipient_participant_id: Any = None
    participant_recipient_id: Any = None
    errors: msgspec.Raw = msgspec.Raw()
    pricing: msgspec.Raw = msgspec.Raw()
    biz_opaque_callback_data: Any = None


class _Message(msgspec.Struct, gc=False, rename={"sender": "from"}):
    id: Any = None
    sender: Any = None
    from_user_id: Any = None
    to: Any = None
    to_user_id: Any = None


class _Value(msgspec.Struct, gc=False):
    statuses: tuple[_Status, ...] = ()
    messages: tuple[_Message, ...] = ()
    message_echoes: tuple[_Message, ...] = ()


class _Change(msgspec.Struct, gc=False):
    value: _Value


_CHANGE: Final = msgspec.json.Decoder(_Change).decode
_ERRORS: Final = msgspec.json.Decoder(tuple[_Error, ...]).decode

_NOTHING: Final = (None,) * (len(COLUMNS) - tuple(COLUMNS).index("direction"))
"""Of an item that says nothing of a message."""


class PostgresRow:
    """What is handed over of one item, in the order of `COLUMNS`."""

    __slots__ = ("_size", "columns", "raw")

    def __init__(self, columns: tuple[Any, ...], raw: str) -> None:
        """Take the columns, and the data as it came."""
        self.columns = columns
        self.raw = raw
        self._size = len(raw) + OVERHEAD_BYTES

    def __len__(self) -> int:
        """Return about how many bytes it takes on its way."""
        return self._size

    @property
    def received_at(self) -> datetime:
        """When its webhook came: which partition it belongs to."""
        moment: datetime = self.columns[_RECEIVED_AT]
        return moment

    def as_text(self) -> "PostgresRow":
        """Return it with its data as text only, for what `jsonb` does not take."""
        columns = list(self.columns)
        for place in _JSON:
            columns[place] = None
        columns[_DATA_TEXT] = self.raw
        return PostgresRow(tuple(columns), self.raw)


def columns_of(rows: Sequence[PostgresRow]) -> list[list[Any] | None]:
    """Return the arrays of a batch; None for one that says nothing of any row.

    A third of them say nothing of a batch of statuses, and each costs both sides a little.
    """
    columns = zip(*(row.columns for row in rows), strict=True)
    return [list(column) if any(column) else None for column in columns]


def has_pairs(rows: Sequence[PostgresRow]) -> bool:
    """Say whether several rows are of one message, or of one conversation."""
    columns = [row.columns for row in rows]
    named = [
        (each[_MESSAGE], each[_PARTICIPANT], each[_CHANNEL])
        for each in columns
        if each[_MESSAGE] is not None
    ]
    conversations = {each[_CONVERSATION] for each in columns}
    return len(conversations) < len(columns) or len(set(named)) < len(named)


def row_of(attempt: Attempt) -> PostgresRow:
    """Return the row of an item; the same at every attempt, but for `superseded`."""
    item = attempt.item
    channel = attribute_text(item.channel)
    received_at = datetime.fromtimestamp(attempt.received_at, UTC)
    try:
        occurred_at = datetime.fromisoformat(item.time)
        # Without a zone the client would take it for this machine's own.
        occurred_at = occurred_at if occurred_at.tzinfo else received_at
    except ValueError:
        occurred_at = received_at
    raw = bytes(item.data).decode("utf-8", "replace")
    data, data_text = raw, None
    if "\\u0000" in raw and (cleaned := _without_nul(raw)) != raw:
        data, data_text = cleaned, raw
    return PostgresRow(
        (
            attempt.token,
            received_at,
            occurred_at,
            item.kind,
            attribute_text(item.type),
            attribute_text(item.key),
            _subject(attribute_text(subject_of(item.kind, item.data))),
            channel or None,
            attempt.conversation,
            attempt.lane.value,
            attempt.other_channel,
            attempt.superseded,
            item.variant,
            item.repaired,
            attempt.traceparent or None,
            data,
            data_text,
            *_of_message(item.kind, item.data, channel, item.type),
        ),
        raw,
    )


def _without_nul(raw: str) -> str:
    return _NUL.sub(r"\1\\ufffd", raw)


def _of_message(kind: str, data: msgspec.Raw, channel: str, item_type: str) -> tuple[Any, ...]:
    """Return what an item says of a message, from `direction` on."""
    if kind not in {STATUS_KIND, "messages", "echoes"}:
        return _NOTHING
    try:
        value = _CHANGE(data).value
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING
    if kind == STATUS_KIND:
        return _of_status(value.statuses[0], channel) if value.statuses else _NOTHING
    is_echo = kind == "echoes"
    found = value.message_echoes if is_echo else value.messages
    if not found:
        return _NOTHING
    (message, *_) = found
    person = message.to_user_id or message.to if is_echo else message.from_user_id or message.sender
    return (
        "out" if is_echo else "in",
        _name(channel, as_text(message.id)),
        "",
        _text(person),
        attribute_text(item_type) or None,
        *(None, 0, None, None, None, None),
    )


def _of_status(status: _Status, channel: str) -> tuple[Any, ...]:
    """Return what a status says; payments have a course of their own, and so others."""
    rank = STATUS_RANKS.get(status.status) if isinstance(status.status, str) else None
    if rank is None or status.type == "payment":
        return _NOTHING
    member = (
        status.recipient_participant_user_id
        or status.recipient_participant_id
        or status.participant_recipient_id
    )
    participant = "" if member is None else attribute_text(as_text(member))
    message = _name(channel, as_text(status.id), participant)
    errors = _json(status.errors)
    return (
        "out",
        message,
        participant if message else "",
        participant or _text(status.recipient_user_id or status.recipient_id),
        None,
        status.status,
        rank + 1,
        None if errors is None else _code(status.errors),
        errors,
        _json(status.pricing),
        _text(status.biz_opaque_callback_data),
    )


def _name(channel: str, message: str, participant: str = "") -> str | None:
    """Return a message's id as its row has it; None where it can have none."""
    text = attribute_text(message)
    longest = max(len(text), len(channel), len(participant))
    if not text or not channel or longest > ID_BYTES:
        return None
    # A character has four bytes at most.
    if longest <= ID_BYTES // 4:
        return text
    return (
        text
        if max(len(each.encode()) for each in (text, channel, participant)) <= ID_BYTES
        else None
    )


def _subject(text: str) -> str | None:
    return text if text and len(text.encode()) <= SUBJECT_BYTES else None


def _text(value: Any) -> str | None:  # noqa: ANN401  # whatever a body says
    return None if value is None else attribute_text(as_text(value)) or None


def _json(value: msgspec.Raw) -> str | None:
    """Return JSON that `jsonb` can hold; None for nothing."""
    if not value:
        return None
    text = _without_nul(bytes(value).decode("utf-8", "replace"))
    return None if text == "null" else text


def _code(errors: msgspec.Raw) -> int | None:
    """Return the code of the first error, where it is a number."""
    try:
        found = _ERRORS(errors)
    except (msgspec.DecodeError, RecursionError):
        return None
    code = found[0].code if found else None
    is_number = isinstance(code, int) and not isinstance(code, bool) and -_INT8 <= code < _INT8
    return code if is_number else None
