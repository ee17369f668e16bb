"""Why a webhook was set aside in RAW's lane `invalid`: the value of its header `Forebay-Reason`."""

import enum

__all__ = ["InvalidReason"]


class InvalidReason(enum.StrEnum):
    """What stands in the header, and in `forebay dead ls --invalid`. A stored format."""

    NOT_JSON = "NotJson"
    """No reader takes the body, not even the tolerant one."""

    NO_ENVELOPE = "NoEnvelope"
    """It is JSON, and of no shape that the endpoint's provider sends."""

    TOO_MANY_ITEMS = "TooManyItems"
    """More items than a body may hold."""

    TOO_MANY_VALUES = "TooManyValues"
    """More JSON values than a body may hold."""

    EXPANDS_TOO_FAR = "ExpandsTooFar"
    """Its items come to far more than its own bytes, or it does once it is decoded."""

    ITEM_TOO_LARGE = "ItemTooLarge"
    """One of its items is larger than NATS takes; the others were delivered."""

    NO_ROOM = "NoRoom"
    """A destination of its endpoint is down, and has all of RETRY and DEAD that it may have."""

    CRASHED = "Crashed"
    """A fault of Forebay's own: the log says where."""
