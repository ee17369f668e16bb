"""A server without room for the index: all else of the shard is made, and that is logged."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from nats.js.errors import NotFoundError
from structlog.testing import capture_logs

from forebay.core.errors import ConfigurationError
from forebay.core.subjects import StreamKind, index_stream, stream_name
from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.jetstream.streams import ensure_shard, missing_consumers
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD

HUGE = 1024**4


async def test_a_shard_is_made_where_there_is_no_room_for_the_index(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", max_file_store="1GB") as server:
        client = QuickClient()
        await client.connect(server.url)
        with capture_logs() as lines:
            await ensure_shard(client, replace(SHARD, index_max_bytes=HUGE))
        (line,) = (each for each in lines if each["event"] == "index_not_made")
        assert index_stream("0") in line["reason"]
        context = client.jetstream()
        for kind in StreamKind:
            await context.stream_info(stream_name(kind, "0"))
        assert await missing_consumers(client, "0") == []
        with pytest.raises(NotFoundError):
            await context.stream_info(index_stream("0"))
        # Where there is room again, the next time makes it.
        await ensure_shard(client, SHARD)
        await context.stream_info(index_stream("0"))
        # What holds items is as needed as ever.
        with pytest.raises(ConfigurationError, match="FOREBAY_RAW_0"):
            await ensure_shard(client, replace(SHARD, raw_max_bytes=HUGE))
        await client.close()
