"""The API's metrics: declared here, counted through one verb, read on the admin port."""

from typing import Final

from forebay.runtime.metric_declarations import Declarations
from forebay.runtime.metrics import MetricSet

__all__ = ["DECLARED", "ApiMetrics"]

DECLARED: Final = Declarations("api")

REQUESTS: Final = DECLARED.counter(
    "forebay_api_requests_total",
    "Requests to the HTTP API: answered, or why not: bad_request, unauthorized, forbidden, "
    "not_found, too_many_requests, service_unavailable, gateway_timeout, internal_server_error.",
    labels=("outcome",),
    unit="requests",
    use="unauthorized that rises: a token that was taken back is still in use, or somebody tries.",
)
LOOP_LAG: Final = DECLARED.loop_lag()
START_TIME: Final = DECLARED.start_time()


class ApiMetrics:
    """All metrics of one process of the API."""

    def __init__(self) -> None:
        self._set = metrics = MetricSet(DECLARED, pool="api")
        self.exposition = metrics.exposition
        self._requests = metrics.series(REQUESTS)

    async def measure_lag(self) -> None:
        """Measure how late the loop is; until cancelled."""
        await self._set.measure_lag(LOOP_LAG)

    def answered(self, outcome: str) -> None:
        """Count a request by what came of it: `answered`, or the name of its status."""
        self._requests.add((outcome,))
