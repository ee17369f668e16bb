"""How uvicorn makes a connection of ours: it listens, accepts and stops, and reads nothing."""

import asyncio
from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState

from forebay_receiver.handlers.shared_connection_state import ConnectionRules
from forebay_receiver.handlers.webhook_protocol import WebhookProtocol

__all__ = ["protocol_factory"]


def protocol_factory(rules: ConnectionRules) -> type[asyncio.Protocol]:
    """Return what `uvicorn.Config(http=...)` takes: it is called for every connection."""

    class Bound(WebhookProtocol):
        __slots__ = ()

        def __init__(self, **uvicorn_gives: Any) -> None:  # noqa: ANN401  # by uvicorn's names
            state: ServerState = uvicorn_gives["server_state"]
            config: Config = uvicorn_gives["config"]
            if not config.loaded:
                config.load()
            super().__init__(rules, cast("set[object]", state.connections))

    return Bound
