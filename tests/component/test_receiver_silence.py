"""How long a receiver bears a store that says nothing before it is not ready any more."""

import pytest

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.streams import stream_config
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.store import SILENCE_GRACE_SECONDS
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD
from support.receiver.receiver_store import storing
from support.timing.clocks import LoopClock
from support.timing.wait import eventually


async def test_a_silence_is_borne_for_a_while_and_not_for_ever(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nats_server.client() as client:
        await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
    clock = LoopClock(monkeypatch)
    async with storing(NatsSettings(url=nats_server.url)) as store:
        await eventually(store.answered_lately, saying="the stream's sign of life")
        nats_server.freeze()
        clock.ahead += SILENCE_GRACE_SECONDS / 2
        assert store.answered_lately()
        clock.ahead += SILENCE_GRACE_SECONDS
        assert not store.answered_lately()
        nats_server.thaw()
        await eventually(store.answered_lately, saying="another sign of life")
