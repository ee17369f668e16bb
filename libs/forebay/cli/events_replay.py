"""`forebay events replay`: items that are stored, delivered again to one destination."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    AsJson,
    Conversation,
    DataDir,
    DryRun,
    Id,
    Kind,
    NatsUrl,
    Output,
    Shard,
    Wamid,
    Yes,
    output_of,
)
from forebay.cli.dead_session import carry_out, count, goes_on
from forebay.cli.events_options import Channel
from forebay.cli.nats_session import shard_names, with_client
from forebay.cli.replay_destination_check import check_target
from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.dead_letters import DeadLetterFilter
    from forebay.runtime.item_replay import ItemReplay
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["BEGINS_ANEW", "Rate", "To", "deliver_again", "replay"]

BEGINS_ANEW = "the same command begins anew, and what comes twice has the same webhook-id"

To = Annotated[
    str,
    typer.Option(help="The destination of the endpoint that gets the items.", show_default=False),
]
Rate = Annotated[float, typer.Option(min=0, help="Items a second; 0 for as many as it can.")]


def replay(  # noqa: PLR0913  # one parameter for each option
    *,
    to: To,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            "-e",
            help="Of this endpoint, namespace/name. With --since where there is no --wamid and "
            "no --id.",
            show_default=False,
        ),
    ] = None,
    channel: Channel = None,
    kind: Kind = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only what was stored at this time or later: 2h, 1d, today, yesterday, "
            "2026-11-22, 2026-11-22T14:00.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="Only what was stored before this time, in the same formats.", show_default=False
        ),
    ] = None,
    wamid: Wamid = None,
    id_: Id = None,
    conversation: Conversation = None,
    rate: Rate = 100.0,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Deliver items again to a destination: those of a message, or all of a time.

    For a destination that took them and lost them, or one that is new. An item comes with the same
    webhook-id as before, whatever became of it; `events`, `channels` and `filter` of the
    destination are ignored. What waits for it, is about to be tried or is a dead letter there is
    left alone: `forebay dead replay` is for those. Replayed items are outside the order.

    Items are kept for 8 days, or until room is needed. Whole webhooks, for a destination of the
    format Raw, are replayed with --kind body only.

    Two runs deliver twice, unless the first one's items still wait.

    Examples:
      forebay events replay --wamid wamid.HBgL... --to crm

      forebay events replay -e acme/shop --since 2h --kind messages --to crm --dry-run

      forebay events replay -e acme/shop --since 2026-12-01T14:00 --until 2026-12-01T15:00 --to crm
    """
    from forebay.core.endpoint_name import EndpointName
    from forebay.core.stored_items import StoredItemFilter
    from forebay.core.time_expressions import parse_time_expression
    from forebay.views.filters import check_label, index_filter

    check_label(to, "--to")
    now = datetime.now().astimezone()
    checked = index_filter(
        endpoint=endpoint,
        destination=None,
        channel=channel,
        kind=kind,
        outcome=None,
        since=since,
        until=until,
        id_=id_,
        conversation=conversation,
        now=now,
    )
    if wamid is id_ is None and (endpoint is None or since is None):
        message = "say which: by --wamid, by --id, or by --endpoint and --since"
        raise ConfigurationError(message)
    wanted = StoredItemFilter(
        endpoint=None if checked.endpoint is None else EndpointName.parse(checked.endpoint),
        kind=kind,
        channel=channel,
        conversation=conversation,
        wamid=wamid,
        key=id_,
        since=None if since is None else parse_time_expression(since, now),
        until=None if until is None else parse_time_expression(until, now),
    )
    shards, printed = shard_names(shard), output_of(output, as_json=as_json)

    async def run(client: "CommandClient") -> None:
        from forebay.runtime.item_replay import StoredItems

        items = StoredItems(client, shards, to)
        await deliver_again(
            items,
            wanted,
            to,
            nats_url,
            data_dir,
            rate=rate,
            dry_run=dry_run,
            yes=yes,
            output=printed,
        )

    with_client(run, nats_url, data_dir)


async def deliver_again(  # noqa: PLR0913  # what a command was told
    items: "ItemReplay",
    wanted: "DeadLetterFilter",
    to: str,
    nats_url: str | None,
    data_dir: DataDir,
    *,
    rate: float,
    dry_run: bool,
    yes: bool,
    output: Output,
) -> None:
    """Say what is about to be delivered again, ask, and do it."""
    from forebay.cli.printers.dead_printer import JsonPrinter, TablePrinter

    printer = (
        JsonPrinter(by="kind") if output == "json" else TablePrinter("item", "items", by="kind")
    )
    plan = await count(items, wanted, printer)
    await check_target(to, {group.endpoint for group in plan.groups}, nats_url, data_dir)
    printer.plan(plan, f"deliver again to {to}", rate=rate)
    if goes_on(plan, printer, dry_run=dry_run, yes=yes):
        await carry_out(items, wanted, plan, items.replay, printer, rate, again=BEGINS_ANEW)
