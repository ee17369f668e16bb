"""`forebay waiting`: what waits to be delivered again."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    Conversation,
    DataDir,
    Endpoint,
    ForDestination,
    Id,
    JsonOnly,
    Kind,
    NatsUrl,
    Shard,
    Wamid,
    limit_of,
)
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog, shard_names, with_client

if TYPE_CHECKING:
    from forebay.core.control import DestinationReport
    from forebay.core.endpoint_name import EndpointName
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["waiting"]

waiting = typer.Typer(
    name="waiting",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Show what waits to be delivered: items that failed, and those behind them.

    Each waits in its order until a try gets through, or its `maxAge` is over: then it is a dead
    letter, which [bold]forebay dead[/bold] lists. [bold]forebay destinations retry-now[/bold] has
    what waits for a destination tried at once.
    """),
    epilog=nats_epilog("waiting ls"),
)


@waiting.command()
def ls(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: ForDestination = None,
    kind: Kind = None,
    wamid: Wamid = None,
    id_: Id = None,
    conversation: Conversation = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Show so many, those stored first first; 0 for all. Default: 100 in a table, all "
            "in JSON.",
            show_default=False,
        ),
    ] = None,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show the messages' ids and their conversations' tokens."),
    ] = False,
    as_json: JsonOnly = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """List what waits: where to, what, why, since when, when it is tried next and when it expires.

    The state and the last answer are of the destination, as the running processors know them. The
    next try is an estimate: pauses after the first attempt are known to the processor alone.
    Without a processor that answers, there is neither, nor when an item expires.

    Endpoint, destination and conversation are found by NATS; for --wamid everything that these
    leave is read.

    Examples:
      forebay waiting ls --endpoint acme/shop --destination crm

      forebay waiting ls --wamid wamid.HBgL... --json
    """
    from forebay.views.filters import waiting_filter

    wanted = waiting_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        wamid=wamid,
        id_=id_,
        conversation=conversation,
    )
    shards = shard_names(shard)
    most = limit_of(limit, is_table=not as_json)

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.output_formatting import print_pages
        from forebay.cli.printers.waiting_printer import WaitingPrinter
        from forebay.runtime.retry_reader import find_waiting

        reports = await _reports(client, wanted.endpoint, destination)
        printer = WaitingPrinter(reports, as_json=as_json, reveal=reveal)
        pages = find_waiting(client, shards, wanted)
        shown, is_cut = await print_pages(pages, printer.rows, most)
        printer.end(shown, is_cut=is_cut)

    with_client(run, nats_url, data_dir)


async def _reports(
    client: "CommandClient", endpoint: "EndpointName | None", destination: str | None
) -> "dict[tuple[str, str], DestinationReport]":
    """Ask how destinations are; nothing where no processor answers, which is said."""
    from forebay.core.control import ControlRequest, ControlVerb, merged
    from forebay.runtime.jetstream.control_client import ask_processors
    from forebay.runtime.jetstream.errors import StoreUnavailable

    request = ControlRequest(
        verb=ControlVerb.LIST,
        endpoint=str(endpoint) if endpoint else "",
        destination=destination or "",
    )
    try:
        found = await ask_processors(client, request)
    except StoreUnavailable as error:
        sys.stderr.write(f"forebay: {error} Why and until when is not shown\n")
        return {}
    return {(each.endpoint, each.destination): each for each in merged(found.answers)}
