"""Marks an object with a hash of itself, and says whether what is there has all that is desired."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from lightkube.models.meta_v1 import ObjectMeta

from forebay_operator.models.kinds import Managed
from forebay_operator.models.names import ANNOTATION_DESIRED
from forebay_operator.models.quantities import amount

__all__ = ["document_of", "has_all", "with_object_hash"]


def document_of(desired: Managed) -> dict[str, Any]:
    """Return the object as it is sent, without what the API server gives it."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(desired))
    return document


def with_object_hash(desired: Managed) -> Managed:
    """Return the object with the annotation that holds the hash of all the rest of it."""
    text = json.dumps(document_of(desired), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    metadata = desired.metadata or ObjectMeta()
    metadata.annotations = {**(metadata.annotations or {}), ANNOTATION_DESIRED: digest}
    desired.metadata = metadata
    return desired


def has_all(live: object, desired: object) -> bool:
    """Say whether everything that is desired stands in what is there, as it is desired.

    What others added, and what the API server filled in, does not count: server-side apply would
    leave it alone too. Lists have to be of the same length, entry by entry; quantities are compared
    by value, since the API server writes `0.5` as `500m`.
    """
    if isinstance(desired, Mapping):
        return isinstance(live, Mapping) and all(
            key in live and has_all(live[key], value) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(live, list)
            and len(live) == len(desired)
            and all(has_all(there, wanted) for there, wanted in zip(live, desired, strict=True))
        )
    return live == desired or (
        isinstance(live, str)
        and isinstance(desired, str)
        and (wanted := amount(desired)) is not None
        and amount(live) == wanted
    )
