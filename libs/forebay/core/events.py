"""An event as destinations get it: a CloudEvent 1.0 in JSON around the provider's own data.

`encode_event` of the processor writes it, `read_event` reads it back, and docs/schemas/events.json,
docs/schemas/asyncapi.json and docs/events.md are made of it. The rule by which it may change is in
docs/events.md; `EVENT_VERSION` follows it.

On the way to a destination only the envelope is built, and of the data the one id in it that is the
event's `subject` is read; the typed models (`event_data`) are for who wants to work with the data.
"""

from functools import cache
from typing import Any, Final

import msgspec

from forebay.core.errors import ForebayError
from forebay.core.event_data import DATA_MODELS
from forebay.core.event_data_types import DataPart
from forebay.core.json_values import Json

__all__ = ["EVENT_VERSION", "TYPE_PREFIX", "Event", "read_event", "subject_of"]

EVENT_VERSION: Final = "1.2"
"""Of the format: the first number is in `type` where it is above 1, see docs/events.md."""

TYPE_PREFIX: Final = "dev.forebay.whatsapp."
"""What every `type` begins with; the item's kind follows."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event: CloudEvents' own attributes, Forebay's, and `data`."""

    specversion: str
    """CloudEvents' version, `1.0`."""

    id: str
    """The idempotency key, 32 hex digits: the first half of the SHA-256 of the key as it is. The
    same at every attempt, and as the header `webhook-id` where the event comes alone."""

    source: str
    """The endpoint: `/forebay/<namespace>/<name>`."""

    type: str
    """`dev.forebay.whatsapp.` and the kind."""

    subject: str = ""
    """The provider's id of what the event is about, the same in all events about it. See the
    table of types; absent where the provider names nothing."""

    time: str
    """When it happened, RFC 3339 in UTC; when it came where the provider does not say."""

    datacontenttype: str
    """Always `application/json`."""

    traceparent: str = ""
    """W3C Trace Context of the webhook."""

    itemkey: str
    """What distinguishes the item from all others, readable. 1,024 characters at most."""

    itemtype: str
    """What the provider calls it within its kind: `text`, `delivered`, `connect`, a field."""

    lane: str
    """How urgent it is: `live`, `status` or `bulk`."""

    channel: str = ""
    """The phone number id; absent for what belongs to a whole account."""

    conversation: str
    """Items of one person or group at one channel share it; within a lane they come in order."""

    otherchannel: bool = False
    """The item is of another number than the endpoint's `channel`."""

    superseded: bool = False
    """A status that came after a higher one of its message."""

    variant: bool = False
    """Its `itemkey` was taken by an item of other content."""

    repaired: bool = False
    """Something in its webhook could not be represented, and was replaced."""

    transformed: bool = False
    """`data` is what the destination's transform made of the provider's."""

    data: msgspec.Raw
    """The provider's change, cut down to the item: all that came, known or not."""

    @property
    def kind(self) -> str:
        """What the item is: `messages`, `statuses`, …; one of a later version's, perhaps."""
        return self.type.removeprefix(TYPE_PREFIX)

    def value(self) -> Json:
        """Return the data as it came: whole, as plain dicts, lists and values."""
        return msgspec.json.decode(self.data)

    def typed(self) -> DataPart | None:
        """Return the data as the model of its kind, without what the model does not know.

        None where the kind has no model, where the provider sent another shape than its reference
        has, and where the data is what a transform made of it: `value` has it in any case.
        """
        decode = None if self.transformed else _decoder(self.kind)
        if decode is None:
            return None
        try:
            typed: DataPart = decode(self.data)
        except (msgspec.DecodeError, RecursionError):
            return None
        return typed


_READ: Final = msgspec.json.Decoder(Event).decode


def read_event(body: bytes | str) -> Event:
    """Read one event as it was delivered; attributes of later versions are passed over.

    Raises:
        ForebayError: where it is none.
    """
    try:
        return _READ(body)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"this is no event of Forebay's: {error}"
        raise ForebayError(message) from error


@cache
def _decoder(kind: str) -> Any:  # noqa: ANN401  # a decoder of the kind's own model
    model = DATA_MODELS.get(kind)
    return None if model is None else msgspec.json.Decoder(model).decode


_ONE: Final = "0"
"""In a path: the first element of a list."""

SUBJECT_PATHS: Final[dict[str, tuple[str, ...]]] = {
    "messages": ("value", "messages", _ONE, "id"),
    "statuses": ("value", "statuses", _ONE, "id"),
    "calls": ("value", "calls", _ONE, "id"),
    "call-statuses": ("value", "statuses", _ONE, "id"),
    "echoes": ("value", "message_echoes", _ONE, "id"),
    "history": ("value", "history", _ONE, "threads", _ONE, "messages", _ONE, "id"),
    "history-media": ("value", "messages", _ONE, "id"),
    "account": ("value", "message_template_id"),
    "partner": ("data", "id"),
}
"""Where in the data of a kind the subject stands. No phone number and no user id is one."""


def _reader(path: tuple[str, ...]) -> Any:  # noqa: ANN401  # a type that is made here
    """Return the type that reads what is on a path and skips all else."""
    (name, *rest) = path
    if not rest:
        return msgspec.defstruct("_Id", [(name, str | int, "")], gc=False, module=__name__)
    if rest[0] == _ONE:
        inner: Any = tuple[_reader(tuple(rest[1:])), ...]  # type: ignore[misc]
        return msgspec.defstruct("_List", [(name, inner, ())], gc=False, module=__name__)
    inner = _reader(tuple(rest))
    return msgspec.defstruct("_Part", [(name, inner | None, None)], gc=False, module=__name__)


_SUBJECTS: Final = {
    kind: (
        msgspec.json.Decoder(_reader(path)).decode,
        tuple(name for name in path if name != _ONE),
    )
    for kind, path in SUBJECT_PATHS.items()
}


def subject_of(kind: str, data: msgspec.Raw) -> str:
    """Return the provider's id of what an item is about; empty where it names nothing.

    It is read anew from the data at each attempt, which costs one or two microseconds for a
    message, so that items which were stored by earlier versions have it as well.
    """
    known = _SUBJECTS.get(kind)
    if known is None:
        return ""
    decode, names = known
    try:
        found = decode(data)
    except (msgspec.DecodeError, RecursionError):
        return ""
    for name in names:
        if type(found) is tuple:
            if not found:
                return ""
            found = found[0]
        if found is None:
            return ""
        found = getattr(found, name)
    return str(found)
