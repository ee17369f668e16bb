"""Which destinations want an item, or a whole webhook: their filters, and their format."""

from collections.abc import Iterable, Iterator

from forebay.core.body_item import BODY_KIND, decode_body
from forebay.core.envelope import decode_item
from forebay.core.errors import ForebayError
from forebay.core.tables import Destination, ProcessorEndpoint

__all__ = ["destinations_wanting", "is_body_wanted"]


def is_body_wanted(endpoint: ProcessorEndpoint, holds: Iterable[tuple[str, str]]) -> bool:
    """Say whether any destination wants the whole webhook.

    Args:
        endpoint: Whose webhook it is.
        holds: Kind and channel of the items in it.
    """
    raw = [destination for destination in endpoint.destinations if _is_raw(destination)]
    return bool(raw) and any(_passes(each, *pair) for pair in holds for each in raw)


def destinations_wanting(
    endpoint: ProcessorEndpoint, kind: str, payload: bytes, *, has_body: bool
) -> Iterator[Destination]:
    """Return the destinations that want an item.

    Args:
        endpoint: Whose item it is.
        kind: The item's.
        payload: As it is stored.
        has_body: Whether its whole webhook is an item, too, which is for those that want that.
    """
    for destination in endpoint.destinations:
        if kind == BODY_KIND:
            if _is_raw(destination) and _passes_some(destination, payload):
                yield destination
            continue
        if has_body and _is_raw(destination):
            continue
        if destination.events and kind not in destination.events:
            continue
        if destination.channels and not _is_of(payload, destination.channels):
            continue
        yield destination


def _is_raw(destination: Destination) -> bool:
    return destination.http is not None and destination.http.format == "Raw"


def _passes(destination: Destination, kind: str, channel: str) -> bool:
    return (not destination.events or kind in destination.events) and (
        not destination.channels or channel in destination.channels
    )


def _passes_some(destination: Destination, payload: bytes) -> bool:
    if not destination.events and not destination.channels:
        return True
    try:
        holds = decode_body(decode_item(payload)).holds
    except ForebayError:
        # Its destination says what is wrong with it, in a dead letter.
        return True
    return any(_passes(destination, *pair) for pair in holds)


def _is_of(payload: bytes, channels: tuple[str, ...]) -> bool:
    try:
        return decode_item(payload).channel in channels
    except ForebayError:
        # Its channel says what is wrong with it, in a dead letter.
        return True
