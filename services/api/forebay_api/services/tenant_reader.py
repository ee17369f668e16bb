"""Reads what the command reads, by the same services, for one token and a page at a time.

Each method returns what is answered, ready for JSON. A token sees endpoints of its namespaces only:
what is of others is not there. Nothing is written, here or at NATS.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from forebay.core.api_tokens import ApiToken
from forebay.core.control import ControlRequest, ControlVerb, DestinationReport, merged
from forebay.core.dead_letters import DeadLetter
from forebay.core.endpoint_name import EndpointName
from forebay.core.index_listing import ItemRow
from forebay.core.subjects import RawSubject
from forebay.core.waiting_items import WaitingItem
from forebay.runtime.dead_letter_replay import DeadLetters
from forebay.runtime.item_index import ItemIndex, ItemStory
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.control_client import Answers, ask_processors
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.stream_reader import StreamPlace
from forebay.runtime.retry_reader import find_waiting
from forebay.runtime.stored_webhooks import sequences_of_item, webhook_at
from forebay.views.dead_letters import letter_facts
from forebay.views.filters import (
    check_item,
    dead_letter_filter,
    index_filter,
    waiting_filter,
)
from forebay.views.items import row_facts
from forebay.views.stories import story_facts
from forebay.views.texts import shown_channel, utc_or_none
from forebay.views.waiting import waiting_facts
from forebay.views.webhooks import webhook_body, webhook_facts
from forebay_api.errors import NotFound
from forebay_api.services.access import check_endpoint
from forebay_api.services.cursors import (
    ItemPlace,
    item_place,
    item_place_text,
    stream_place,
    stream_place_text,
)
from forebay_api.services.queries import (
    DeadQuery,
    DestinationsQuery,
    EventsQuery,
    MessageQuery,
    WaitingQuery,
    WebhooksQuery,
)

__all__ = ["TenantReader"]

MOST_PASSED: Final = 10_000
"""Items before a page: what is before it is read again for each page, and held."""

MOST_STORIES: Final = 100
"""Items about one message that are told of: a usual one has five."""

MOST_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of a webhook's content: twice what a receiver takes. More is not shown here."""

_Facts = dict[str, Any]
_Found = TypeVar("_Found", DeadLetter, WaitingItem)


class TenantReader:
    """Answers requests that were let in."""

    def __init__(
        self,
        client: Callable[[], CommandClient],
        shards: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        """Prepare.

        Args:
            client: Returns the connection to NATS; raises StoreUnavailable where there is none.
            shards: Those that are read.
            now: The time, in UTC.
        """
        self._client = client
        self._shards = tuple(shards)
        self._now = now

    async def events(self, token: ApiToken, query: EventsQuery) -> _Facts:
        """List items to which something happened, in the order in which it was written down.

        Raises:
            ForebayError: where it cannot be.
        """
        place, now = item_place(query.cursor), self._now()
        is_of_message = query.wamid is not None
        wanted = index_filter(
            endpoint=query.endpoint,
            destination=query.destination,
            channel=query.channel,
            kind=query.kind,
            outcome=query.outcome,
            since=query.since if query.since is not None or is_of_message else "1h",
            until=query.until,
            id_=query.id,
            conversation=query.conversation,
            now=now,
            prefix="",
        )
        check_endpoint(token, query.endpoint)
        if place is None:
            # In force for all pages, so that an item does not move from one to the next.
            until = wanted.until if wanted.until is not None else int(now.timestamp() * 1000)
            place = ItemPlace(0, wanted.since, until)
        wanted = msgspec.structs.replace(
            wanted, since=place.since, until=place.until, namespaces=token.own_namespaces
        )
        index, most = ItemIndex(self._client(), self._shards), place.passed + query.limit
        rows: list[ItemRow] = []
        pages = index.listed(wanted, message=query.wamid, most=most, is_by_time=False)
        async for found in pages:
            rows += found
            if len(rows) > most:
                break
        has_more = len(rows) > most
        next_ = None
        if has_more and most <= MOST_PASSED:
            next_ = item_place_text(place._replace(passed=most))
        return {
            "items": [row_facts(each, reveal=query.reveal) for each in rows[place.passed : most]],
            "next": next_,
            "more": has_more,
            "unreadRecords": index.unread,
        }

    async def message(self, token: ApiToken, query: MessageQuery) -> _Facts:
        """Tell all that is known of one message; raises ForebayError."""
        index, now = ItemIndex(self._client(), self._shards), self._now()
        stories = await index.of_message(query.wamid, token.own_namespaces, MOST_STORIES)
        return {
            "items": [_story(each, now, reveal=query.reveal) for each in stories],
            "indexBegins": utc_or_none(await index.begins()),
            "unreadRecords": index.unread,
        }

    async def webhook(self, token: ApiToken, shard: str, sequence: int, *, reveal: bool) -> _Facts:
        """Show a webhook of RAW; raises NotFound where there is none, and other ForebayErrors."""
        found = None
        if shard in self._shards:
            found = await webhook_at(self._client(), shard, sequence)
        if found is None or not _is_for(token, found):
            message = f"RAW has no webhook {sequence} in shard {shard}, or it is of another's"
            raise NotFound(message)
        return await _webhook(found, shard, reveal=reveal)

    async def webhooks(self, token: ApiToken, query: WebhooksQuery) -> _Facts:
        """Show the webhooks in which an item first came; raises ForebayError."""
        check_item(query.item)
        client = self._client()
        shown = []
        async for shard, sequence in sequences_of_item(client, self._shards, query.item):
            found = await webhook_at(client, shard, sequence)
            if found is not None and _is_for(token, found):
                shown.append(await _webhook(found, shard, reveal=query.reveal))
        return {"webhooks": shown}

    async def waiting(self, token: ApiToken, query: WaitingQuery) -> _Facts:
        """List what waits, in the order in which it was stored; raises ForebayError."""
        wanted = waiting_filter(
            endpoint=query.endpoint,
            destination=query.destination,
            kind=query.kind,
            wamid=query.wamid,
            id_=query.id,
            conversation=query.conversation,
            prefix="",
        )
        check_endpoint(token, query.endpoint)
        wanted = msgspec.structs.replace(wanted, namespaces=token.own_namespaces)
        after = stream_place(query.cursor)
        client, now = self._client(), self._now()
        reports, missing = await self._reports(client, query.endpoint, query.destination)
        pages = find_waiting(client, self._shards, wanted, after)
        rows, next_ = await _first(pages, query.limit, lambda row: row.subject.shard)
        return {
            "items": [waiting_facts(each, reports, now, reveal=query.reveal) for each in rows],
            "next": next_,
            "processorsMissing": missing,
        }

    async def _reports(
        self, client: CommandClient, endpoint: str | None, destination: str | None
    ) -> tuple[dict[tuple[str, str], DestinationReport], int | None]:
        """Ask how destinations are; None for who is missing where nobody answers."""
        try:
            found = await _ask(client, endpoint, destination)
        except StoreUnavailable:
            return {}, None
        reports = merged(found.answers)
        return {(each.endpoint, each.destination): each for each in reports}, found.missing

    async def dead(self, token: ApiToken, query: DeadQuery) -> _Facts:
        """List dead letters, oldest first; raises ForebayError."""
        wanted = dead_letter_filter(
            endpoint=query.endpoint,
            destination=query.destination,
            kind=query.kind,
            reason=query.reason,
            since=query.since,
            until=query.until,
            wamid=query.wamid,
            id_=query.id,
            prefix="",
            now=self._now(),
        )
        check_endpoint(token, query.endpoint)
        wanted = msgspec.structs.replace(wanted, namespaces=token.own_namespaces)
        letters = DeadLetters(self._client(), self._shards)
        pages = letters.find(wanted, stream_place(query.cursor))
        found, next_ = await _first(pages, query.limit, lambda letter: letter.subject.shard)
        return {
            "items": [letter_facts(each, reveal=query.reveal) for each in found],
            "next": next_,
        }

    async def destinations(self, token: ApiToken, query: DestinationsQuery) -> _Facts:
        """Say how destinations are; raises StoreUnavailable where no processor answers."""
        check_endpoint(token, query.endpoint)
        found = await _ask(self._client(), query.endpoint, query.destination)
        return {
            "items": [
                msgspec.to_builtins(each)
                for each in merged(found.answers)
                if token.is_for(each.endpoint.partition("/")[0])
            ],
            "processorsMissing": found.missing,
            "leftOut": max(each.left_out for each in found.answers),
        }


def _story(story: ItemStory, now: datetime, *, reveal: bool) -> _Facts:
    facts = story_facts(story, now, reveal=reveal)
    if not reveal:
        # Which `events show` shows; its lists do not.
        del facts["conversation"]
        facts["channel"] = shown_channel(facts["channel"], reveal=False)
    return facts


async def _ask(client: CommandClient, endpoint: str | None, destination: str | None) -> Answers:
    request = ControlRequest(
        verb=ControlVerb.LIST, endpoint=endpoint or "", destination=destination or ""
    )
    return await ask_processors(client, request, reads_only=True)


async def _first(
    pages: AsyncIterator[list[_Found]], limit: int, shard: Callable[[_Found], str]
) -> tuple[list[_Found], str | None]:
    """Return the first of a list, and where it goes on; None where it is over."""
    found: list[_Found] = []
    async for page in pages:
        found += page
        if len(found) > limit:
            last = found[limit - 1]
            return found[:limit], stream_place_text(StreamPlace(shard(last), last.sequence))
    return found, None


def _is_for(token: ApiToken, webhook: StoredMessage) -> bool:
    try:
        endpoint: EndpointName = RawSubject.parse(webhook.subject).endpoint
    except ValueError:
        return False
    return token.is_for(endpoint.namespace)


async def _webhook(found: StoredMessage, shard: str, *, reveal: bool) -> _Facts:
    # In a thread: a body of some MiB takes a second to go through.
    body = await asyncio.to_thread(webhook_body, found, reveal=reveal, limit=MOST_BODY_BYTES)
    return {**webhook_facts(found, shard, reveal=reveal, limit=MOST_BODY_BYTES), "body": body}
