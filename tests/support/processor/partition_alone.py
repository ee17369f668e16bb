"""A partition that is owned, with nothing around it: no consumers, no connection."""

from typing import Protocol, cast

from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.lease_table import Assignment
from forebay_processor.shared.partition_view import PartitionStore
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["DropsPartitions", "owned_partition"]


class DropsPartitions(Protocol):
    """What of the destinations' queues a partition calls when it is given back."""

    def drop(self, partition: OwnedPartition) -> None:
        """Forget all that waits of it."""


def owned_partition(  # noqa: PLR0913  # each is one thing that a test may want otherwise
    partition_id: str,
    lease: Lease,
    store: PartitionStore,
    ages: RetentionAges | None = None,
    epoch: int = 7,
    *,
    floor: int = 0,
    is_vacant: bool = True,
    queues: "DropsPartitions | None" = None,
) -> OwnedPartition:
    """Return a partition at work, its rows too.

    Args:
        partition_id: Such as `event.07`.
        lease: Of its owner.
        store: RETRY, DEAD and EVENTS.
        ages: Of the streams: for ever, unless they are given.
        epoch: Distinguishes this ownership from earlier ones.
        floor: RETRY's last sequence when it began.
        is_vacant: Whether RETRY held no row of it.
        queues: What forgets it when it is given back.
    """
    partition = OwnedPartition(
        "0",
        partition_id,
        epoch,
        lease,
        store,
        ages or RetentionAges(),
        cast("DestinationQueues", queues),
        ProcessorMetrics(pool="test"),
    )
    partition.found(Assignment(), floor, is_vacant=is_vacant)
    partition.start()
    return partition
