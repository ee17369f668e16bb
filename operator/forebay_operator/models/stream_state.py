"""What JetStream says of a stream: how full it is, and whether all its servers have it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["StreamState"]


class StreamState(NamedTuple):
    """The state of one stream; sizes in bytes."""

    name: str
    size: int
    limit: int
    missing_replicas: int = 0
    """Servers that should hold it and are away, or have not all of it."""

    @classmethod
    def of(cls, name: str, answer: Mapping[str, Any]) -> "StreamState":
        """Read the answer to `STREAM.INFO`."""
        config = answer["config"]
        # A server that stands alone names no others; one of several leaves itself out.
        others = (answer.get("cluster") or {}).get("replicas") or ()
        current = sum(1 for each in others if each.get("current") and not each.get("offline"))
        return cls(
            name,
            int(answer["state"]["bytes"]),
            int(config.get("max_bytes", -1)),
            max(int(config.get("num_replicas", 1)) - 1 - current, 0),
        )
