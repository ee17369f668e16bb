"""What the receiver says of itself: readiness, load, the table in force."""

import asyncio
from collections.abc import Callable

from forebay.core.tables import ReceiverTable
from forebay.runtime.table_files import TableFiles
from forebay_receiver.adapters.store import JetStreamStore
from forebay_receiver.metrics import (
    CONNECTIONS,
    ENDPOINTS,
    IN_FLIGHT,
    IN_FLIGHT_BYTES,
    TABLE_AGE,
    TASKS,
    ReceiverMetrics,
)
from forebay_receiver.services.intake import Intake
from forebay_receiver.services.routes import Routes

__all__ = ["ReceiverStatus"]


class ReceiverStatus:
    """Collects what the admin port shows."""

    def __init__(  # it speaks for all of the process
        self,
        intake: Intake,
        routes: Routes,
        tables: TableFiles[ReceiverTable],
        store: JetStreamStore,
        metrics: ReceiverMetrics,
        connections: Callable[[], int],
    ) -> None:
        self._intake = intake
        self._routes = routes
        self._tables = tables
        self._store = store
        self._connections = connections
        metrics.follow(
            {
                IN_FLIGHT: lambda: self.in_flight,
                IN_FLIGHT_BYTES: lambda: self.in_flight_bytes,
                CONNECTIONS: self._connections,
                TASKS: lambda: len(asyncio.all_tasks()),
                ENDPOINTS: lambda: len(self._routes),
                TABLE_AGE: lambda: self._tables.age,
            }
        )
        self.is_stopping = False
        """Set on SIGTERM: not ready any more, though it still serves."""

    @property
    def in_flight(self) -> int:
        """Webhooks that are being stored."""
        return self._intake.in_flight

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of bodies that are being read or stored."""
        return self._intake.in_flight_bytes

    def waiting_for(self) -> list[str]:
        """Return what keeps the receiver from being ready, in words; empty when it is."""
        if self.is_stopping:
            return ["it is stopping"]
        waiting = []
        if not self._tables.is_loaded:
            waiting.append("a table of endpoints")
        if not self._store.was_reached:
            waiting.append("a connection to NATS")
        elif not self._store.answered_lately():
            waiting.append(self._store.foreign_answer or "an answer of the RAW stream")
        return waiting

    def generations(self) -> dict[str, str]:
        """Return the generation in force of each table file."""
        return self._tables.generations

    def endpoints(self) -> list[str]:
        """Return the names of all endpoints that are served."""
        return self._routes.names()

    def warnings(self) -> list[str]:
        """Return what an operator should fix, though the receiver is ready."""
        return [*self._store.warnings(), *self._routes.warnings()]
