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
from forebay.cli.raw_replay import replay
from forebay.cli.raw_webhooks import webhooks_of

if TYPE_CHECKING:
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["raw"]

raw = typer.Typer(
    name="raw",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Look at webhooks as the provider sent them, or have one delivered again.

    Each is kept for 7 days, or until room is needed.

      forebay raw show 5120

      forebay raw replay 5120 --to crm
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
    from forebay.views.filters import webhook_place

    webhook_place(which)
    shards, printed = shard_names(shard), output_of(output, as_json=as_json)

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.raw_printer import print_webhook

        async for place, found in webhooks_of(client, shards, which):
            print_webhook(found, place, as_json=printed == "json", reveal=reveal)

    with_client(run, nats_url, data_dir)


raw.command()(replay)
