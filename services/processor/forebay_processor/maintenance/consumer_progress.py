"""How far a shard's consumers are: what of a stream is processed, whoever processes it."""

import asyncio

from forebay.core.subjects import Lane, StreamKind, consumer_name, partitions_of, stream_name
from forebay_processor.adapters.streams import Streams

__all__ = ["processed_below"]


async def processed_below(streams: Streams, shard: str, kind: StreamKind, end: int) -> int:
    """Return the sequence below which every consumer of the stream has acked everything.

    `end` was above the last message before the first consumer was asked: what came later is
    not spoken of here.

    Raises:
        StoreError: where NATS does not answer.
    """
    stream = stream_name(kind, shard)
    step = "split" if kind is StreamKind.RAW else "deliver"
    firsts = await asyncio.gather(
        *(
            _first_unprocessed(streams, stream, consumer_name(step, lane, partition))
            for lane in Lane
            # Items are never in the invalid lane, only bodies.
            if not (step == "deliver" and lane is Lane.INVALID)
            for partition in range(partitions_of(shard))
        )
    )
    return min([end, *(first for first in firsts if first is not None)])


async def _first_unprocessed(streams: Streams, stream: str, consumer: str) -> int | None:
    info = await streams.consumer_info(stream, consumer)
    if not info.num_pending and not info.num_ack_pending:
        return None
    # The floor alone would do, but of a lane where little happens it is very old.
    floor = info.ack_floor.stream_seq if info.ack_floor else 0
    return await streams.first_sequence(stream, info.config.filter_subject or ">", floor + 1)
