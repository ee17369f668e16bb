"""What pods say of themselves on their admin ports."""

from collections.abc import Mapping
from typing import NamedTuple

from forebay.core.endpoint_name import EndpointName

__all__ = ["Deliverable", "OpenBreaker", "PodPage"]


class PodPage(NamedTuple):
    """What a pod serves by."""

    generations: Mapping[str, str]
    """The generation of each table file."""

    warnings: tuple[str, ...] = ()
    """What somebody should fix though the pod is ready."""


class OpenBreaker(NamedTuple):
    """A destination that a processor sends nothing to, or one attempt at a time."""

    endpoint: EndpointName
    destination: str
    is_refused: bool
    """Whether the destination refuses us, which most often needs a person."""

    reason: str
    """What the last attempt ended in."""


class Deliverable(NamedTuple):
    """What could be delivered now if there were more processors."""

    items: int
    oldest_seconds: float
    """The age of the oldest of them; 0 where there is none."""
