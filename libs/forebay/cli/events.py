"""`forebay events`: what happened to messages, from their webhooks to each destination."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    AsJson,
    Conversation,
    DataDir,
    Endpoint,
    Id,
    Kind,
    Limit,
    NatsUrl,
    Output,
    Shard,
    Wamid,
    limit_of,
    output_of,
)
from forebay.cli.events_options import (
    AtDestination,
    Channel,
    Outcome,
    RevealRecords,
    Since,
    Until,
    searched,
)
from forebay.cli.events_replay import replay
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog, shard_names, with_client
from forebay.core.errors import ForebayError

if TYPE_CHECKING:
    from forebay.core.index_records import IndexRecord
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["events"]

events = typer.Typer(
    name="events",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Find out what happened to messages: when they came, attempts, where one is.

    It is kept for 8 days. What people wrote is in it only where a destination's answer repeats it.

      forebay events show wamid.HBgL...

      forebay events ls --since 2h --outcome dead

      forebay events tail -e acme/shop

      forebay events replay --wamid wamid.HBgL... --to crm
    """),
    epilog=nats_epilog("events show wamid.HBgL..."),
)


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
        from forebay.cli.printers.events_show_printer import print_stories
        from forebay.runtime.item_index import ItemIndex
        from forebay.views.texts import utc_text

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
        _report_unread(index.unread)

    with_client(run, nats_url, data_dir)


@events.command()
def ls(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: AtDestination = None,
    channel: Channel = None,
    kind: Kind = None,
    outcome: Outcome = None,
    since: Since = None,
    until: Until = None,
    wamid: Wamid = None,
    id_: Id = None,
    conversation: Conversation = None,
    limit: Limit = None,
    reveal: RevealRecords = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """List the items to which something happened, oldest first, and what they came to.

    Without --since and --wamid: in the last hour. An item is listed with what happened to it last
    in the time that is searched; where it is at this moment, `show` tells.

    Examples:
      forebay events ls -e acme/shop --kind messages

      forebay events ls --since 2026-12-01T14:00 --until 2026-12-01T15:00 --limit 0

      forebay events ls --since 1d --outcome failed --destination crm

      forebay events ls --wamid wamid.HBgL... --json
    """
    from forebay.views.filters import index_filter

    shards, printed = shard_names(shard), output_of(output, as_json=as_json)
    now = datetime.now().astimezone()
    wanted = index_filter(
        endpoint=endpoint,
        destination=destination,
        channel=channel,
        kind=kind,
        outcome=outcome,
        since=since if since is not None or wamid is not None else "1h",
        until=until,
        id_=id_,
        conversation=conversation,
        now=now,
    )
    most = limit_of(limit, is_table=printed == "table")

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.events_ls_printer import ItemListPrinter
        from forebay.cli.printers.output_formatting import print_pages
        from forebay.runtime.item_index import ItemIndex

        index = ItemIndex(client, shards)
        printer = ItemListPrinter(as_json=printed == "json", reveal=reveal)
        pages = index.listed(wanted, message=wamid, most=most or None)
        shown, is_cut = await print_pages(pages, printer.rows, most)
        printer.end(shown, searched(wanted), is_cut=is_cut)
        _report_unread(index.unread)

    with_client(run, nats_url, data_dir)


@events.command()
def tail(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: AtDestination = None,
    channel: Channel = None,
    kind: Kind = None,
    outcome: Outcome = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Begin with what happened since then: 10m, 2h, today, 2026-11-22T14:00. Default: "
            "with what happens from now on.",
            show_default=False,
        ),
    ] = None,
    wamid: Wamid = None,
    id_: Id = None,
    conversation: Conversation = None,
    reveal: RevealRecords = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Follow what happens, a line for each thing, until Ctrl-C: stores, attempts, dead letters.

    It shows up to two seconds later. Where NATS goes away it waits, and goes on where it was.

    Examples:
      forebay events tail

      forebay events tail -e acme/shop --outcome failed

      forebay events tail --since 10m --json | jq .error
    """
    from forebay.views.filters import index_filter

    shards, printed = shard_names(shard), output_of(output, as_json=as_json)
    now = datetime.now().astimezone()
    wanted = index_filter(
        endpoint=endpoint,
        destination=destination,
        channel=channel,
        kind=kind,
        outcome=outcome,
        since=since,
        until=None,
        id_=id_,
        conversation=conversation,
        now=now,
    )

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.events_tail_printer import TailPrinter
        from forebay.core.index_listing import IndexFilter, MessageItems
        from forebay.core.index_records import message_digest
        from forebay.runtime.index_follower import IndexFollower
        from forebay.runtime.item_index import ItemIndex

        follower = IndexFollower(client, shards, _report_trouble)
        printer = TailPrinter(as_json=printed == "json", reveal=reveal)
        message = None if wamid is None else MessageItems(message_digest(wamid))
        if message is not None:
            # What happens to it from now on may be about an item that was stored before.
            async for rows in ItemIndex(client, shards).listed(IndexFilter(), message=wamid):
                for row in rows:
                    message.know(row.any)
        start = None
        if since is not None:
            start = datetime.fromtimestamp(wanted.since / 1000, UTC)
        unread = 0
        async for page in follower.follow(start):
            records: list[IndexRecord] = page if message is None else message.about_it(page)
            printer.records(each for each in records if wanted.shows(each))
            if follower.unread > unread:
                _report_unread(follower.unread - unread)
                unread = follower.unread

    try:
        with_client(run, nats_url, data_dir)
    except KeyboardInterrupt:
        # How it usually ends.
        raise typer.Exit from None


events.command()(replay)


def _report_unread(unread: int) -> None:
    if unread:
        sys.stderr.write(
            f"forebay: {unread:,} records of the index cannot be read: if a later version wrote "
            "them, ask with its command\n"
        )


def _report_trouble(text: str | None) -> None:
    if text is None:
        sys.stderr.write("forebay: NATS answers again\n")
    else:
        sys.stderr.write(f"forebay: {text}; waiting for it\n")
