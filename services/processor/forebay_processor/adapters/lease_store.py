"""The one message in which a shard's processors agree who owns what: read, replaced, followed."""

import base64
import contextlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from forebay.core.subjects import lease_stream, lease_subject
from forebay.runtime.jetstream.errors import StoreError, StoreUnavailable, store_error
from forebay.runtime.jetstream.pending_publish import pub_ack
from forebay_processor.shared.lease_table import LeaseTable

__all__ = ["LeaseStore"]

_SECONDS: Final = 2.0
"""For one answer: a step that takes longer is made again, well before a lease ends."""

_NO_MESSAGE: Final = 10037
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"

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
        told = await self._ask(
            f"$JS.API.STREAM.MSG.GET.{self._stream}",
            msgspec.json.encode({"last_by_subj": self._subject}),
        )
        try:
            answer: dict[str, Any] = msgspec.json.decode(told)
        except msgspec.DecodeError as no_json:
            message = "the lease table gave an answer that is no JSON"
            raise StoreUnavailable(message) from no_json
        error = answer.get("error")
        if error is not None:
            if error.get("err_code") == _NO_MESSAGE:
                return LeaseTable(), 0
            raise store_error(error)
        message = answer["message"]
        return _DECODER.decode(base64.b64decode(message["data"])), int(message["seq"])

    async def write(self, table: LeaseTable, sequence: int) -> int:
        """Replace the table that has this sequence, and return the new one's.

        Raises:
            SequenceMismatch: where somebody else was quicker.
            StoreError: its other kinds; what became of the table is not known.
        """
        payload = msgspec.json.encode(table)
        answer = await self._ask(self._subject, payload, {_EXPECTED: str(sequence)})
        ack = pub_ack(answer, self._stream)
        if isinstance(ack, StoreError):
            raise ack
        return ack.seq

    async def follow(self, on_table: Callable[[LeaseTable], None]) -> None:
        """Call with every table that somebody tries to write: a hint, not the truth."""

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

    async def _ask(
        self, subject: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> bytes:
        try:
            answer = await self._client.request(subject, payload, timeout=_SECONDS, headers=headers)
        except NatsError as error:
            message = f"the lease table gave no answer: {type(error).__name__}"
            raise StoreUnavailable(message) from error
        return answer.data
