"""Another receiver is storing the same webhook: it is asked for again, within its budget.

The stream says so by error 10158, on a cluster only (`tests/fault/test_receiver_on_a_cluster.py`);
here the answer is given by hand, and what follows is real.
"""

from collections.abc import AsyncIterator

import pytest

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.errors import StillStoring
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.streams import stream_config
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.store import STILL_STORING_PAUSE_SECONDS, JetStreamStore
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD
from support.receiver.receiver_store import RecordedResults, storing
from support.timing.wait import eventually


@pytest.fixture
async def store(nats_server: NatsServer) -> AsyncIterator[JetStreamStore]:
    """Give a store that is connected to a NATS with a RAW stream."""
    async with nats_server.client() as client:
        await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
    async with storing(NatsSettings(url=nats_server.url)) as running:
        yield running


async def test_who_is_being_stored_elsewhere_is_asked_for_until_it_is_there(
    store: JetStreamStore,
) -> None:
    webhook = RecordedResults(store, b"{}", seconds=5.0)
    store.take_answer(webhook, StillStoring("10158"))
    assert webhook.results == []
    await eventually(lambda: webhook.results, saying="an answer")
    assert [type(each) for each in webhook.results] == [PubAck]
    assert store.rejection("0") is None


async def test_who_has_no_time_left_gets_an_answer(store: JetStreamStore) -> None:
    webhook = RecordedResults(store, b"{}", seconds=STILL_STORING_PAUSE_SECONDS / 2)
    store.take_answer(webhook, StillStoring("10158"))
    assert [type(each) for each in webhook.results] == [StillStoring]
