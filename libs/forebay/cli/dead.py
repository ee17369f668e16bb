"""`forebay dead`: what destinations did not take, to be shown, sent again or removed."""

from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    AsJson,
    DataDir,
    DryRun,
    Endpoint,
    ForDestination,
    Id,
    Kind,
    Limit,
    NatsUrl,
    Output,
    RevealContent,
    Shard,
    Wamid,
    Yes,
    limit_of,
    output_of,
)
from forebay.cli.dead_options import (
    Invalid,
    MaxItems,
    Reason,
    Since,
    Until,
)
from forebay.cli.dead_session import carry_out, count, goes_on, printer_as, with_store
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog
from forebay.cli.replay_destination_check import check_target
from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.core.dead_letters import DeadLetter
    from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterStore

__all__ = ["dead"]

dead = typer.Typer(
    name="dead",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Find, replay or remove dead letters: items that a destination never took.

    Each stays for 30 days, with its reason. Nothing shows what people wrote, unless you ask for it
    with [bold]show --reveal[/bold].

    A usual way:

      forebay dead ls --since yesterday

      forebay dead show 0b6ea2e2

      forebay dead replay --endpoint acme/shop --reason Rejected --dry-run

      forebay dead replay --endpoint acme/shop --reason Rejected --rate 50
    """),
    epilog=nats_epilog("dead ls"),
)


@dead.command()
def ls(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: ForDestination = None,
    kind: Kind = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    wamid: Wamid = None,
    id_: Id = None,
    limit: Limit = None,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
    invalid: Invalid = False,
) -> None:
    """List dead letters, oldest first: where to, what, why, since when. Never what is in them.

    Examples:
      forebay dead ls

      forebay dead ls --since yesterday --until today --endpoint acme/shop

      forebay dead ls --reason Expired --destination crm --limit 0

      forebay dead ls --wamid wamid.HBgL... --json
    """
    from forebay.views.filters import dead_letter_filter

    wanted = dead_letter_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        reason=reason,
        since=since,
        until=until,
        wamid=wamid,
        id_=id_,
        invalid=invalid,
    )
    output = output_of(output, as_json=as_json)
    printer = printer_as(output, invalid=invalid)
    most = limit_of(limit, is_table=output == "table")

    async def run(letters: "DeadLetterStore") -> None:
        from forebay.cli.printers.output_formatting import print_pages

        shown, is_cut = await print_pages(letters.find(wanted), printer.letters, most)
        printer.end_of_list(shown, is_cut=is_cut)

    with_store(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def show(  # noqa: PLR0913  # one parameter for each option
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Its id as `ls` shows it, or the beginning of it.")
    ],
    *,
    reveal: RevealContent = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
    invalid: Invalid = False,
) -> None:
    """Show one dead letter: all that is known of it, and the shape of its content.

    The content itself is hidden, since it is private: --reveal shows it.

    Examples:
      forebay dead show 0b6ea2e2

      forebay dead show 0b6ea2e2 --reveal --json | jq .data
    """
    from forebay.views.filters import dead_letter_filter

    wanted = dead_letter_filter(id_=id_, invalid=invalid)
    output = output_of(output, as_json=as_json)
    printer = printer_as(output, invalid=invalid)

    async def run(letters: "DeadLetterStore") -> None:
        found: list[DeadLetter] = []
        async for page in letters.find(wanted):
            found += page
            ids = {letter.subject.key for letter in found}
            if len(ids) > 1:
                message = f"several ids begin with {id_}: give more of it"
                raise ConfigurationError(message)
        if not found:
            message = f"nothing has the id {id_}: `forebay dead ls` shows what there is"
            if not invalid:
                message += ", and with --invalid the bodies that were set aside"
            raise ForebayError(message)
        for letter in found:
            printer.letter(letter, reveal=reveal)

    with_store(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def replay(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: ForDestination = None,
    kind: Kind = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    wamid: Wamid = None,
    id_: Id = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Deliver to this destination of the endpoint, not to the one it died for.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Items a second; 0 for as many as it can.")
    ] = 100.0,
    max_items: MaxItems = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
    invalid: Invalid = False,
) -> None:
    """Send dead letters again: each is handed to the running processor, and leaves this list.

    Without a filter: all. It says first what it is about to do, and asks. An item comes with the
    same webhook-id as before and is tried like a new one; what fails again comes back as a dead
    letter. Items that are replayed are outside the order: they hold back nobody.

    Safe to stop and to repeat: two replays of one dead letter deliver it once.

    Examples:
      forebay dead replay --since yesterday --dry-run

      forebay dead replay --endpoint acme/shop --destination crm --rate 20

      forebay dead replay --destination old-crm --to crm --yes

      forebay dead replay --invalid --endpoint acme/shop

      forebay dead replay --invalid --reason TooManyItems --max-items 80000
    """
    from forebay.views.filters import check_label, dead_letter_filter

    wanted = dead_letter_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        reason=reason,
        since=since,
        until=until,
        wamid=wamid,
        id_=id_,
        invalid=invalid,
    )
    output = output_of(output, as_json=as_json)
    printer = printer_as(output, invalid=invalid)
    if to is not None:
        check_label(to, "--to")
        if invalid:
            message = "a body is split for all destinations of its endpoint: leave --to out"
            raise ConfigurationError(message)

    if max_items is not None and not invalid:
        message = "--max-items goes with --invalid: only bodies hold items"
        raise ConfigurationError(message)

    async def run(letters: "DeadLetterStore") -> None:
        from forebay.runtime.invalid_body_replay import InvalidBodies

        if isinstance(letters, InvalidBodies):
            letters.max_items = max_items
        plan = await count(letters, wanted, printer)
        if to is not None:
            await check_target(to, {group.endpoint for group in plan.groups}, nats_url, data_dir)
        printer.plan(plan, f"replay to {to}" if to else "replay", rate=rate)

        async def one(letter: "DeadLetter") -> "DeadLetterOutcome":
            return await letters.replay(letter, to)

        if goes_on(plan, printer, dry_run=dry_run, yes=yes):
            await carry_out(letters, wanted, plan, one, printer, rate)

    with_store(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def purge(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: ForDestination = None,
    kind: Kind = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    wamid: Wamid = None,
    id_: Id = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every dead letter; needed where there is no filter.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
    invalid: Invalid = False,
) -> None:
    """Remove dead letters for good. It says first what it is about to do, and asks.

    Examples:
      forebay dead purge --endpoint acme/old --dry-run

      forebay dead purge --reason Expired --until 2w
    """
    from forebay.views.filters import dead_letter_filter

    wanted = dead_letter_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        reason=reason,
        since=since,
        until=until,
        wamid=wamid,
        id_=id_,
        invalid=invalid,
    )
    if not all_ and wanted == dead_letter_filter():
        message = "purge without a filter removes every dead letter: give one, or say --all"
        raise ConfigurationError(message)
    output = output_of(output, as_json=as_json)
    printer = printer_as(output, invalid=invalid)

    async def run(letters: "DeadLetterStore") -> None:
        plan = await count(letters, wanted, printer)
        printer.plan(plan, "remove for good", rate=0)
        if goes_on(plan, printer, dry_run=dry_run, yes=yes):
            await carry_out(letters, wanted, plan, letters.purge, printer, 0)

    with_store(run, nats_url, data_dir, shard, invalid=invalid)
