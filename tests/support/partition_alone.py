"""A partition that is owned, with nothing around it: no consumers, no connection."""

from typing import cast

from prometheus_client import CollectorRegistry

from forebay_processor.delivery.queues import Channels
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.shared.lease import Lease
from forebay_processor.shared.partition import PartitionStore
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["owned_partition"]


def owned_partition(
    partition_id: str,
    lease: Lease,
    store: PartitionStore,
    ages: RetentionAges | None = None,
    epoch: int = 7,
) -> OwnedPartition:
    """Return a partition at work, its rows too."""
    partition = OwnedPartition(
        "0",
        partition_id,
        epoch,
        lease,
        store,
        ages or RetentionAges(),
        cast("Channels", None),
        ProcessorMetrics(CollectorRegistry(), pool="test"),
    )
    partition.rows_loaded()
    partition.start()
    return partition
