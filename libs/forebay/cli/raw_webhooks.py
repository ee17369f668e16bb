"""Which webhooks the verbs of `forebay raw` mean: by a sequence of RAW, or by an item's id."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.core.endpoint_name import EndpointName
    from forebay.runtime.jetstream.api import StoredMessage
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["endpoint_of", "webhooks_of"]


async def webhooks_of(
    client: "CommandClient", shards: Sequence[str], which: str
) -> AsyncIterator[tuple[str, "StoredMessage"]]:
    """Yield shard and webhook: one, or those in which an item first came.

    Raises:
        ConfigurationError: where a sequence is of several shards.
        ForebayError: where there is none, or NATS does not answer.
    """
    from forebay.runtime.stored_webhooks import sequences_of_item, webhook_at
    from forebay.views.filters import webhook_place

    own = webhook_place(which)
    if own is not None and len(shards) > 1:
        message = "each shard has a webhook of that sequence: name one by --shard"
        raise ConfigurationError(message)
    places = (
        [each async for each in sequences_of_item(client, shards, which)]
        if own is None
        else [(shards[0], own)]
    )
    if not places:
        message = "no item has this id any more: `forebay events show WAMID` tells of it"
        raise ForebayError(message)
    for place, sequence in places:
        found = await webhook_at(client, place, sequence)
        if found is None:
            message = (
                f"RAW has no webhook {sequence} in shard {place}: it is older than RAW keeps "
                "them, or was never there"
            )
            raise ForebayError(message)
        yield place, found


def endpoint_of(webhook: "StoredMessage") -> "EndpointName":
    """Return whose webhook it is; raises ForebayError where its subject is none of RAW."""
    from forebay.core.subjects import RawSubject

    try:
        return RawSubject.parse(webhook.subject).endpoint
    except ValueError as error:
        message = f"message {webhook.sequence} of RAW is no webhook of Forebay's: nothing to replay"
        raise ForebayError(message) from error
