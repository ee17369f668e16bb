"""What reconciling an endpoint works with: made once by `main`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.adapters.streams import StreamManager
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.endpoint_backlog import EndpointFigures
from forebay_operator.services.event_recorder import EventRecorder
from forebay_operator.services.observer import Observer
from forebay_operator.services.optional_apis import OptionalApis
from forebay_operator.services.reconcile_queue import Enqueuer
from forebay_operator.services.shard_moves import ShardMoves
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import OperatorConfig

__all__ = ["Parts", "utc_now"]


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a reconciler works with."""

    config: OperatorConfig
    cluster: Cluster
    cache: ClusterCache
    applier: Applier
    tables: RouteTables
    pools: Pools
    streams: StreamManager
    figures: EndpointFigures
    observer: Observer
    apis: OptionalApis
    events: EventRecorder
    queue: Enqueuer
    shards: Shards
    moves: ShardMoves
    now: Callable[[], datetime] = utc_now
    """The time, with a zone."""
