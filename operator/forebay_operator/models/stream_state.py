"""What JetStream says of a stream: how full it is, and whether all its servers have it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = ["StreamState"]

BEHIND_ENTRIES: Final = 1_000
SILENT_NANOSECONDS: Final = 10 * 10**9
"""A server that follows under load is not `current` at most moments: it lacks the entries that are
on their way to it. It is missed where it lacks more than that, or was not heard of for so long."""


class StreamState(NamedTuple):
    """The state of one stream; sizes in bytes."""

    name: str
    size: int
    limit: int
    missing_replicas: int = 0
    """Servers that should hold it and are away, or far behind."""

    @classmethod
    def of(cls, name: str, answer: Mapping[str, Any]) -> "StreamState":
        """Read the answer to `STREAM.INFO`."""
        config = answer["config"]
        # A server that stands alone names no others; one of several leaves itself out.
        others = (answer.get("cluster") or {}).get("replicas") or ()
        current = sum(1 for each in others if _follows(each))
        return cls(
            name,
            int(answer["state"]["bytes"]),
            int(config.get("max_bytes", -1)),
            max(int(config.get("num_replicas", 1)) - 1 - current, 0),
        )


def _follows(replica: Mapping[str, Any]) -> bool:
    """Say whether a server has the stream, but for what is on its way to it."""
    if replica.get("offline"):
        return False
    is_near = int(replica.get("lag", 0)) <= BEHIND_ENTRIES
    # 0 is of one that a new leader has not heard of at all.
    is_heard = 0 < int(replica.get("active", 0)) <= SILENT_NANOSECONDS
    return bool(replica.get("current")) or (is_near and is_heard)
