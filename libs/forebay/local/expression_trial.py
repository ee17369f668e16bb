"""Filters and transforms tried on webhooks of one's own, for `forebay filter try`."""

import hashlib
import time
from collections.abc import Iterator
from typing import Literal

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import decode_item, encode_item
from forebay.core.errors import ConfigurationError, ForebayError, UnreadableBody
from forebay.core.events import Event, read_event
from forebay.core.expression_errors import ExpressionFailed, UnusableExpression
from forebay.core.filter_expression import FilterExpression, compile_filter
from forebay.core.item import Item
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import provider_of
from forebay.core.tolerant_json import read_json
from forebay.core.transform_expression import TransformExpression, compile_transform
from forebay_processor.destinations.cloudevents import event_of
from forebay_processor.destinations.port import Attempt

__all__ = ["ExpressionTrial", "Tried"]

Verdict = Literal["passes", "filtered", "undecided", "rejected"]


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one item at a destination."""

    id: str
    kind: str
    itemtype: str
    verdict: Verdict
    """`undecided`: the filter fails on it, and it would be delivered; `rejected`: the transform
    makes nothing of it, and it would be a dead letter."""

    why: str = ""
    result: msgspec.Raw | None = None
    """What a transform makes of it."""


class ExpressionTrial:
    """A filter and a transform, either of which may be missing."""

    def __init__(
        self, expression: str | None, transform: str | None, provider: ProviderName
    ) -> None:
        """Compile.

        Args:
            expression: In CEL; None for a filter that takes everything.
            transform: In JMESPath; None for none.
            provider: Whose webhooks will come.

        Raises:
            ConfigurationError: where one of them is none.
        """
        self._filter: FilterExpression | None = None
        self._transform: TransformExpression | None = None
        try:
            if expression is not None:
                self._filter = compile_filter(expression)
        except UnusableExpression as error:
            message = f"--expression: {error}"
            raise ConfigurationError(message) from error
        try:
            if transform is not None:
                self._transform = compile_transform(transform)
        except UnusableExpression as error:
            message = f"--transform: {error}"
            raise ConfigurationError(message) from error
        self._provider = provider

    def outcomes(self, content: bytes) -> Iterator[Tried]:
        """Say of each item of a webhook, or of an event as it is delivered, what becomes of it.

        Raises:
            ConfigurationError: where it is neither.
        """
        for event in self._events(content):
            yield self._tried(event)

    def _tried(self, event: Event) -> Tried:
        verdict: Verdict = "passes"
        why, result = "", None
        if self._filter is not None:
            try:
                verdict = "passes" if self._filter.passes(event) else "filtered"
            except ExpressionFailed as error:
                verdict, why = "undecided", str(error)
        if self._transform is not None and verdict != "filtered":
            try:
                result = self._transform.result(event)
            except ExpressionFailed as error:
                verdict, why = "rejected", str(error)
        return Tried(
            id=event.id,
            kind=event.kind,
            itemtype=event.itemtype,
            verdict=verdict,
            why=why,
            result=result,
        )

    def _events(self, content: bytes) -> Iterator[Event]:
        try:
            yield read_event(content)
        except ForebayError:
            yield from self._of_webhook(content)

    def _of_webhook(self, content: bytes) -> Iterator[Event]:
        now = time.time()
        try:
            document, repaired = read_json(content)
            items = provider_of(self._provider).body_format.cut(
                document,
                body_sha256=hashlib.sha256(content).hexdigest(),
                received_at=now,
                event_id="0" * 32,
                repaired=repaired,
            )
            for item in items:
                yield _event(item, now)
        except UnreadableBody as error:
            message = f"this is no webhook of {self._provider}'s and no event: {error}"
            raise ConfigurationError(message) from error


def _event(item: Item, now: float) -> Event:
    return event_of(
        Attempt(
            endpoint=EndpointName("demo", "trial"),
            destination="trial",
            lane=item.lane,
            token=item.token,
            conversation=item.conversation,
            item=decode_item(encode_item(item)),
            number=1,
            received_at=now,
            traceparent="",
            other_channel=False,
        )
    )
