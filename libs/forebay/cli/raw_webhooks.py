"""Which webhooks the verbs of `forebay raw` mean: by a sequence of RAW, or by an item's id."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.runtime.jetstream.api import StoredMessage
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["check_which", "webhooks_of"]

SEQUENCE_DIGITS = 19
"""Of the largest sequence: a longer number is an id."""


def check_which(which: str) -> bool:
    """Return whether a webhook is named by its sequence, and not by the id of an item.

    Raises:
        ConfigurationError: where it is neither.
    """
    from forebay.core.dead_letters import KEY_DIGITS

    if which.isascii() and which.isdigit() and len(which) <= SEQUENCE_DIGITS:
        return True
    if len(which) == KEY_DIGITS and set(which) <= set("0123456789abcdef"):
        return False
    message = (
        f"{which!r} is neither a sequence, such as 5120, nor an id of {KEY_DIGITS} hex digits: "
        "`forebay events show WAMID` prints both"
    )
    raise ConfigurationError(message)


async def webhooks_of(
    client: "CommandClient", shards: Sequence[str], which: str
) -> AsyncIterator[tuple[str, "StoredMessage"]]:
    """Yield shard and webhook: one, or those in which an item first came.

    Raises:
        ConfigurationError: where a sequence is of several shards.
        ForebayError: where there is none, or NATS does not answer.
    """
    from forebay.runtime.stored_webhooks import sequences_of_item, webhook_at

    is_sequence = check_which(which)
    if is_sequence and len(shards) > 1:
        message = "each shard has a webhook of that sequence: name one by --shard"
        raise ConfigurationError(message)
    places = (
        [(shards[0], int(which))]
        if is_sequence
        else [each async for each in sequences_of_item(client, shards, which)]
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
