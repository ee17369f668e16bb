"""What a person may ask of this processor over NATS: how destinations are, and to try one now.

Nothing here stores anything. If the process dies, whoever asks gets no answer, and asks again.
"""

from collections.abc import Callable, Collection
from typing import Final

import msgspec
import structlog

from forebay.core.control import ControlAnswer, ControlRequest, ControlVerb, endpoint_of
from forebay.core.endpoint_name import EndpointName
from forebay.core.near_names import nearest_name
from forebay_processor.delivery.destination_reports import reports_of
from forebay_processor.delivery.queues import DestinationQueues

__all__ = ["DestinationControl"]

_log = structlog.get_logger(__name__)

MOST_BYTES: Final = 4096
"""Of a request: names are 63 characters."""

_DECODE: Final = msgspec.json.Decoder(ControlRequest).decode


class DestinationControl:
    """Answers requests, one after the other."""

    def __init__(
        self, queues: DestinationQueues, me: str, members: Callable[[], Collection[str]]
    ) -> None:
        """Prepare.

        Args:
            queues: Of this process.
            me: Its id.
            members: Returns the ids of all processors that it knows of.
        """
        self._queues = queues
        self._me = me
        self._members = members

    async def answer(self, payload: bytes, reads_only: bool) -> bytes:  # noqa: FBT001  # a port's
        """Do what a request asks, and return the answer; nothing is done where it may only read."""
        return msgspec.json.encode(
            msgspec.structs.replace(
                await self._answer(payload, reads_only=reads_only),
                processor=self._me,
                members=tuple(sorted(self._members())),
            )
        )

    async def _answer(self, payload: bytes, *, reads_only: bool) -> ControlAnswer:
        try:
            if len(payload) > MOST_BYTES:
                return _refusal("the request is too long")
            request = _DECODE(payload)
            endpoint = endpoint_of(request)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _refusal("the request cannot be read: is the command of another version?")
        if request.verb is ControlVerb.LIST:
            found, left_out = await reports_of(self._queues, endpoint, request.destination)
            return ControlAnswer(processor="", destinations=tuple(found), left_out=left_out)
        if reads_only:
            return _refusal("who asks here may only read")
        if endpoint is None or not request.destination:
            return _refusal("the request names no destination")
        return await self._act(request.verb, endpoint, request.destination)

    async def _act(self, verb: ControlVerb, endpoint: EndpointName, name: str) -> ControlAnswer:
        unknown = self._unknown(endpoint, name)
        if unknown:
            return _refusal(unknown)
        queue = self._queues.find(endpoint, name)
        count = 0
        if queue is not None:
            match verb:
                case ControlVerb.CLOSE_BREAKER:
                    count = int(queue.close_breaker())
                case _:
                    count = await queue.retry_now()
        _log.info(
            "destination_command",
            endpoint=str(endpoint),
            destination=name,
            verb=verb.value,
            count=count,
        )
        return ControlAnswer(processor="", changed=count)

    def _unknown(self, endpoint: EndpointName, name: str) -> str:
        """Say why there is no such destination; empty where there is."""
        if self._queues.find(endpoint, name) is not None:
            return ""  # also of one that was removed, and has something waiting
        names = [known for of, known in self._queues.named() if of == endpoint]
        if name in names:
            return ""
        if not names:
            near = nearest_name(str(endpoint), {str(of) for of, _ in self._queues.named()})
            hint = f": did you mean {near}?" if near else ""
            return f"no table names an endpoint {endpoint}{hint}"
        near = nearest_name(name, names)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(sorted(names))}"
        return f"{endpoint} has no destination {name}: {hint}"


def _refusal(error: str) -> ControlAnswer:
    return ControlAnswer(processor="", error=error)
