"""How full RAW is, is asked anew over every connection: another server may say it, or allow it."""

from pathlib import Path

import msgspec
from nats.js.api import StreamConfig
from structlog.testing import capture_logs

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.streams import stream_config
from forebay.runtime.settings import NatsSettings
from forebay_receiver.outcomes import Reason
from support.nats.nats_operator import NatsOperator
from support.nats.nats_server import NatsServer
from support.programs.stack import SHARD
from support.receiver.receiver_store import storing
from support.timing.wait import eventually

INBOXES = {"allow": ["_INBOX.>", "_INBOX_forebay_receiver.>"]}
MAY_NOT_ASK = {"pub": {"allow": ["forebay.raw.>"]}, "sub": INBOXES}
MAY_ASK = {"pub": {"allow": ["forebay.raw.>", "$JS.API.STREAM.INFO.>"]}, "sub": INBOXES}

LIMIT = 100_000


def almost_full() -> StreamConfig:
    """Return a RAW that 99,000 bytes fill to more than 98 %."""
    return stream_config(StreamKind.RAW, msgspec.structs.replace(SHARD, raw_max_bytes=LIMIT))


async def test_who_was_not_allowed_to_ask_asks_anew_over_the_next_connection(
    tmp_path: Path,
) -> None:
    operator = NatsOperator()
    admin = operator.credentials(tmp_path / "admin.creds")
    own = operator.credentials(tmp_path / "receiver.creds", **MAY_NOT_ASK)
    async with NatsServer(tmp_path / "nats", config=operator.config) as server:
        async with server.client(admin) as client:
            stream = client.jetstream()
            await stream.add_stream(almost_full())
            await stream.publish("forebay.raw.0.00.live.demo.shop", b"x" * (LIMIT - 1_000))
        settings = NatsSettings(url=server.url, credentials=own)
        with capture_logs() as logged:
            async with storing(settings) as store:
                await eventually(
                    lambda: "stream_info_missing" in [each["event"] for each in logged],
                    saying="the question for the stream's size to be given up",
                )
                # Without the permission it is learnt from refused webhooks alone.
                assert store.answered_lately()
                assert store.rejection("0") is None
                operator.credentials(own, **MAY_ASK)
                await server.restart()
                await eventually(
                    lambda: store.rejection("0") is Reason.STREAM_FULL,
                    saying="the stream to be known as full",
                )
