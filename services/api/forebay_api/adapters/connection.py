"""The one connection to NATS, for as long as the process lives."""

import asyncio

import structlog

from forebay.runtime.jetstream.command_client import CommandClient, command_client
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.log_once import LogOnce
from forebay.runtime.settings import NatsSettings

__all__ = ["ApiConnection"]

_log = structlog.get_logger(__name__)

AGAIN_SECONDS = 1.0


class ApiConnection:
    """Connects, again and again until it succeeds; then the client itself comes back."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings
        self._client: CommandClient | None = None
        self._away = LogOnce(again_seconds=60.0)

    async def run(self) -> None:
        """Hold the connection; until cancelled."""
        while True:
            try:
                async with command_client(self._settings) as client:
                    self._client = client
                    _log.info("api_nats_connected")
                    await asyncio.Event().wait()
            except StoreUnavailable as error:
                if self._away.is_due():
                    _log.warning("api_nats_away", reason=str(error))
            finally:
                self._client = None
            await asyncio.sleep(AGAIN_SECONDS)

    @property
    def is_connected(self) -> bool:
        """Whether NATS is there at this moment."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> CommandClient:
        """What talks to NATS; raises StoreUnavailable where it is not there."""
        if self._client is None or not self._client.is_connected:
            message = "Forebay's NATS is not reached at the moment: ask again in a minute"
            raise StoreUnavailable(message)
        return self._client
