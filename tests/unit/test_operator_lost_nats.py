"""Who waits for an answer of NATS when the connection is lost gets an error at once."""

import asyncio
from typing import cast

import pytest
from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters import streams as adapter
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.errors import StreamsUnavailable
from support.timing.wait import eventually

OWN = EndpointName("acme", "sales")


class Silent:
    """A connection over which no answer comes."""

    def __init__(self) -> None:
        self.asked = 0

    async def request(
        self,
        subject: str,
        payload: bytes,
        timeout: float,  # noqa: ASYNC109  # nats-py's
        headers: object = None,
    ) -> object:
        """Wait for ever."""
        del subject, payload, timeout, headers
        self.asked += 1
        return await asyncio.Event().wait()


class PlayedLink:
    """A link that counts as connected."""

    is_connected = True

    def __init__(self, *_: object) -> None:
        """Connect to nothing."""


async def test_a_waiting_request_fails_when_the_connection_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapter, "NatsLink", PlayedLink)
    silent, streams = Silent(), JetStreams(NatsSettings())
    await streams.connected(cast("Client", silent))
    asking = asyncio.create_task(streams.latest("0", OWN))
    await eventually(lambda: silent.asked, saying="a request")
    streams.disconnected()
    with pytest.raises(StreamsUnavailable, match="the connection to NATS was lost"):
        await asyncio.wait_for(asking, 5)
