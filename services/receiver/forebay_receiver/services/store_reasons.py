"""For which reason a webhook is not stored, by the error of the store."""

from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    NotConnected,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.outcomes import Reason

__all__ = ["reason_of"]


def reason_of(error: StoreError) -> Reason:
    """Return the reason that stands for a store's error: the one place where they are mapped."""
    match error:
        case StreamMissing():
            return Reason.NO_STREAM
        case NotConnected():
            return Reason.NATS_AWAY
        case StoreUnavailable():
            return Reason.NATS_SILENT
        case StoreFull():
            return Reason.STREAM_FULL
        case MessageTooLarge():
            return Reason.ABOVE_MAX_PAYLOAD
        case _:
            return Reason.STORE_REFUSED
