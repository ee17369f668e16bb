"""`forebay raw`: webhooks as the provider sent them."""

from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    AsJson,
    DataDir,
    NatsUrl,
    Output,
    RevealContent,
    Shard,
    output_of,
)
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog, shard_names, with_client
from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["raw"]

SEQUENCE_DIGITS = 19
"""Of the largest sequence: a longer number is an id."""

raw = typer.Typer(
    name="raw",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Look at webhooks as the provider sent them, before they were split.

    Each is kept for 7 days, or until room is needed.
    """),
    epilog=nats_epilog("raw show 5120"),
)


@raw.command()
def show(  # noqa: PLR0913  # one parameter for each option
    which: Annotated[
        str,
        typer.Argument(
            metavar="SEQUENCE|ID",
            help="Its sequence in RAW, or the id of an item that came in it: `forebay events show` "
            "prints both.",
        ),
    ],
    *,
    reveal: RevealContent = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Show one webhook: when it came, its headers, and the shape of its body.

    The body itself is hidden, since it is private: --reveal shows it.

    Examples:
      forebay raw show 5120

      forebay raw show 0b6ea2e2a1c94d6c8f1e2d3c4b5a6978 --reveal --json | jq .body
    """
    from forebay.core.dead_letters import KEY_DIGITS

    shards, printed = shard_names(shard), output_of(output, as_json=as_json)
    is_sequence = which.isascii() and which.isdigit() and len(which) <= SEQUENCE_DIGITS
    if not is_sequence and not (len(which) == KEY_DIGITS and set(which) <= set("0123456789abcdef")):
        message = (
            f"{which!r} is neither a sequence, such as 5120, nor an id of {KEY_DIGITS} hex digits: "
            "`forebay events show WAMID` prints both"
        )
        raise ConfigurationError(message)
    if is_sequence and len(shards) > 1:
        message = "each shard has a webhook of that sequence: name one by --shard"
        raise ConfigurationError(message)

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.raw_printer import print_webhook
        from forebay.runtime.stored_webhooks import sequences_of_item, webhook_at

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
            print_webhook(found, place, as_json=printed == "json", reveal=reveal)

    with_client(run, nats_url, data_dir)
