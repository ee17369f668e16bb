"""Every event of the corpus and of the cases, as a destination gets it."""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import decode_item, encode_item
from forebay.core.events import Event, read_event
from forebay.core.item import Item
from forebay.core.providers.names import ProviderName
from forebay_processor.destinations.cloudevents import encode_event
from forebay_processor.destinations.port import Attempt
from support.inputs.cases import CASES
from support.inputs.corpus import PAYLOADS
from support.inputs.splitting import split

__all__ = ["CorpusEvent", "attempt_of", "corpus_events"]

RECEIVED_AT: Final = 1_767_225_600.0
"""When all of it came, Unix seconds."""

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class CorpusEvent(NamedTuple):
    """An event and where it comes from."""

    file: str
    """Its file in tests/data/payloads or tests/data/cases, without `.json`."""

    item: Item
    body: bytes
    """As it is posted."""

    @property
    def event(self) -> Event:
        """What it says."""
        return read_event(self.body)


def attempt_of(item: Item) -> Attempt:
    """Return the first attempt to deliver an item."""
    return Attempt(
        endpoint=EndpointName("acme", "shop"),
        destination="crm",
        lane=item.lane,
        token=item.token,
        conversation=item.conversation,
        item=decode_item(encode_item(item)),
        number=1,
        received_at=RECEIVED_AT,
        traceparent=TRACE,
        other_channel=False,
    )


@cache
def corpus_events() -> tuple[CorpusEvent, ...]:
    """Return all events, in the order of the files; none twice."""
    found = {entry.body: entry for entry in _all()}
    return tuple(found.values())


def _all() -> Iterator[CorpusEvent]:
    for name, payload in PAYLOADS.items():
        provider: ProviderName = "360dialog" if name.startswith("d360") else "meta"
        for item in split(provider, payload.body, RECEIVED_AT):
            yield CorpusEvent(name, item, encode_event(attempt_of(item)))
    for name, case in CASES.items():
        for post in case.posts(name):
            # A receiver makes an id for each request to a generic endpoint.
            event_id = str(post.number) if case.provider == "generic" else None
            for item in split(case.provider, post.body, RECEIVED_AT + post.at, event_id):
                yield CorpusEvent(name, item, encode_event(attempt_of(item)))
