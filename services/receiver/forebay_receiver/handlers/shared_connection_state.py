"""What all connections of a process share: their rules, and the way to end them."""

from forebay_receiver.services.intake import Intake
from forebay_receiver.settings import ReceiverSettings

__all__ = ["ConnectionRules"]


class ConnectionRules:
    """What all connections of a process share: their rules, and the way to end them."""

    def __init__(self, intake: Intake, settings: ReceiverSettings, max_connections: int) -> None:
        self.intake = intake
        self.settings = settings
        self.idle_seconds = settings.idle_seconds
        self.reading_seconds = settings.reading_seconds
        self.max_connections = max_connections
        self.connections = 0
        """How many are open."""

        self.backlog_bytes = 0
        """Bytes of all connections that came and are not read yet."""

        self.is_draining = False
        """Whether every answer closes its connection, so that load balancers move on."""
