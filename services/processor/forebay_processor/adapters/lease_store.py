"""The one message in which a shard's processors agree who owns what: read, replaced, followed."""

import contextlib
from collections.abc import Callable
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from forebay.core.envelope import EXPECTED_SEQUENCE
from forebay.core.subjects import lease_stream, lease_subject
from forebay.runtime.jetstream.api import find_message, request
from forebay.runtime.jetstream.errors import StoreError, StoreUnavailable
from forebay.runtime.jetstream.pending_publish import pub_ack
from forebay_processor.shared.lease_table import LeaseTable

__all__ = ["LeaseStore"]

_SECONDS: Final = 2.0
"""For one answer: a step that takes longer is made again, well before a lease ends."""

_SILENCE: Final = "the lease table gave no answer"

_DECODER: Final = msgspec.json.Decoder(LeaseTable)


class LeaseStore:
    """The lease stream of one shard over one client."""

    def __init__(self, client: Client, shard: str) -> None:
        self._client = client
        self._stream = lease_stream(shard)
        self._subject = lease_subject(shard)
        self._subscription: Subscription | None = None

    async def read(self) -> tuple[LeaseTable, int]:
        """Return the table and its sequence, as the stream's leader has it; raises StoreError."""
        try:
            found = await find_message(
                self._client,
                self._stream,
                {"last_by_subj": self._subject},
                within=_SECONDS,
                silence=_SILENCE,
            )
        except msgspec.DecodeError as no_json:
            message = "the lease table gave an answer that is no JSON"
            raise StoreUnavailable(message) from no_json
        if found is None:
            return LeaseTable(), 0
        return _DECODER.decode(found.payload), found.sequence

    async def write(self, table: LeaseTable, sequence: int) -> int:
        """Replace the table that has this sequence, and return the new one's.

        Raises:
            SequenceMismatch: where somebody else was quicker.
            StoreError: its other kinds; whether the table is stored is not known.
        """
        payload = msgspec.json.encode(table)
        answer = await request(
            self._client,
            self._subject,
            payload,
            headers={EXPECTED_SEQUENCE: str(sequence)},
            within=_SECONDS,
            silence=_SILENCE,
        )
        ack = pub_ack(answer.data, self._stream)
        if isinstance(ack, StoreError):
            raise ack
        return ack.seq

    async def follow(self, on_table: Callable[[LeaseTable], None]) -> None:
        """Call with every table that somebody tries to write: a hint only."""

        async def hinted(message: Msg) -> None:  # nats-py wants a coroutine function
            try:
                table = _DECODER.decode(message.data)
            except msgspec.DecodeError:
                return
            on_table(table)

        try:
            self._subscription = await self._client.subscribe(self._subject, cb=hinted)
        except NatsError as error:
            message = "the lease table cannot be followed"
            raise StoreUnavailable(message) from error

    async def close(self) -> None:
        """Follow no more."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()
