"""What stands on a row is all that the next owner of its partition knows of an item."""

from datetime import UTC, datetime

import pytest

from forebay.core.subjects import RetrySubject
from forebay.runtime.stream_reader import StoredMessage
from forebay_processor.delivery.retry_loading import row_of
from forebay_processor.delivery.work import Parked
from forebay_processor.destinations.port import Failed
from support.channel_alone import ChannelAlone
from support.wait import eventually

WISH = 60.0
EXACT = 1.0


def as_the_next_owner_loads_it(alone: ChannelAlone) -> Parked:
    ((subject, (_, headers, sequence)),) = alone.table.rows.items()
    stored_at = datetime.fromtimestamp(alone.time.now(), tz=UTC)
    message = StoredMessage(subject, sequence, stored_at, headers, b"")
    return row_of(alone.partitions[0], RetrySubject.parse(subject), message, alone.time)


async def test_the_next_owner_goes_on_where_the_last_one_was() -> None:
    alone = ChannelAlone()
    began = alone.time.steady()
    alone.answer(Failed("status 500", retry_after=WISH))
    alone.offer(0, "item")
    (work,) = alone.works
    await eventually(lambda: work.after_ack is not None, saying="the item to be parked")
    first = as_the_next_owner_loads_it(alone)
    assert (first.attempts, first.order) == (1, work.order)
    assert first.since == pytest.approx(began, abs=EXACT)
    assert first.due == pytest.approx(began + WISH, abs=EXACT)
    assert work.after_ack is not None
    work.after_ack()
    alone.clock.gone_by += WISH
    alone.channel.wake_rows()
    await eventually(lambda: len(alone.table.published) == 2, saying="the item to be put off")
    second = as_the_next_owner_loads_it(alone)
    assert (second.attempts, second.order) == (2, work.order)
    assert second.since == pytest.approx(began, abs=EXACT)
    assert second.due == pytest.approx(began + 2 * WISH, abs=EXACT)
