"""`forebay events`: what happened to a message, from its webhook to each destination."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.dead_options import DATA_DIR, AsJson, DataDir, NatsUrl, Output, Shard, output_of
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog, shard_names, with_client
from forebay.core.errors import ForebayError

if TYPE_CHECKING:
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["events"]

events = typer.Typer(
    name="events",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Find out what happened to a message: when it came, each attempt, where it is.

    It is kept for 8 days. What people wrote is in it only where a destination's answer repeats it.

      forebay events show wamid.HBgL...
    """),
    epilog=nats_epilog("events show wamid.HBgL..."),
)


@events.callback()
def _events() -> None:
    """Keep `show` a verb of its own though there is no other."""


@events.command()
def show(  # noqa: PLR0913  # one parameter for each option
    message: Annotated[
        str,
        typer.Argument(metavar="WAMID", help="The provider's id of the message, as it came."),
    ],
    *,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show the first words of what destinations answered."),
    ] = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Tell all that is known of one message: itself, its statuses, its repeats.

    Examples:
      forebay events show wamid.HBgL...

      forebay events show wamid.HBgL... --reveal

      forebay events show wamid.HBgL... --json | jq .now
    """
    shards, printed = shard_names(shard), output_of(output, as_json=as_json)

    async def run(client: "CommandClient") -> None:
        from forebay.cli.events_printer import print_stories
        from forebay.cli.printing import utc_text
        from forebay.runtime.item_index import ItemIndex

        index = ItemIndex(client, shards)
        stories = await index.of_message(message)
        if not stories:
            begins = await index.begins()
            since = "there is no record at all" if begins is None else f"since {utc_text(begins)}"
            text = (
                f"nothing is known of this message ({since}): no webhook with it was split. Is the "
                "id whole, and the shard right? What cannot be split: `forebay dead ls --invalid`"
            )
            raise ForebayError(text)
        print_stories(stories, printed, reveal=reveal, now=datetime.now(UTC))
        if index.unread:
            sys.stderr.write(
                f"forebay: {index.unread:,} records of the index cannot be read: if a later "
                "version wrote them, ask with its command\n"
            )

    with_client(run, nats_url, data_dir)
