"""`forebay dead`: what destinations did not take, to be looked at, sent again or removed."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from forebay.cli.dead_options import (
    DATA_DIR,
    DataDir,
    DryRun,
    Endpoint,
    FromDestination,
    Id,
    Invalid,
    Kind,
    MaxItems,
    NatsUrl,
    Output,
    Reason,
    Shard,
    Since,
    Until,
    Wamid,
    Yes,
    check_label,
    wanted_letters,
)
from forebay.cli.help_text import unwrapped
from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.cli.dead_screen import DeadScreen
    from forebay.core.letters import DeadLetter, LetterFilter
    from forebay.runtime.letter_store import LetterStore, Outcome, Plan
    from forebay.runtime.settings import NatsSettings

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
    epilog="NATS is found by --nats-url, else FOREBAY_NATS_URL, else as that of `forebay run` in "
    "this folder. FOREBAY_NATS_USER, _PASSWORD, _CREDENTIALS and _TLS_CA say who you are. On a "
    "cluster: kubectl exec -it -n forebay deploy/forebay-processors -- forebay dead ls",
)


@dead.command()
def ls(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: FromDestination = None,
    kind: Kind = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    wamid: Wamid = None,
    id_: Id = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Show so many, the oldest first; 0 for all. Default: 100 in a table, all in JSON.",
            show_default=False,
        ),
    ] = None,
    output: Output = "table",
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

      forebay dead ls --wamid wamid.HBgL... --output json
    """
    wanted = wanted_letters(
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
    screen = _screen(output, invalid=invalid)
    most = limit if limit is not None else (100 if output == "table" else 0)

    async def run(letters: "LetterStore") -> None:
        shown = 0
        async for page in letters.find(wanted):
            rest = len(page) if not most else most - shown
            screen.letters(page[:rest])
            shown += len(page[:rest])
            if len(page) > rest:
                return screen.end_of_list(shown, is_cut=True)
        screen.end_of_list(shown, is_cut=False)
        return None

    _run(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def show(  # noqa: PLR0913  # one parameter for each option
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Its id as `ls` shows it, or the beginning of it.")
    ],
    *,
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show what people wrote, their numbers and their names."),
    ] = False,
    output: Output = "table",
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
    invalid: Invalid = False,
) -> None:
    """Show one dead letter: all that is known of it, and the shape of its content.

    The content itself is hidden, since it is private: --reveal shows it.

    Examples:
      forebay dead show 0b6ea2e2

      forebay dead show 0b6ea2e2 --reveal --output json | jq .data
    """
    wanted = wanted_letters(id_=id_, invalid=invalid)
    screen = _screen(output, invalid=invalid)

    async def run(letters: "LetterStore") -> None:
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
            screen.letter(letter, reveal=reveal)

    _run(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def replay(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: FromDestination = None,
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
    wanted = wanted_letters(
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
    screen = _screen(output, invalid=invalid)
    if to is not None:
        check_label(to, "--to")
        if invalid:
            message = "a body is split for all destinations of its endpoint: leave --to out"
            raise ConfigurationError(message)

    if max_items is not None and not invalid:
        message = "--max-items goes with --invalid: only bodies hold items"
        raise ConfigurationError(message)

    async def run(letters: "LetterStore") -> None:
        from forebay.runtime.invalid_bodies import InvalidBodies

        if isinstance(letters, InvalidBodies):
            letters.max_items = max_items
        plan = await _plan(letters, wanted, screen)
        screen.plan(plan, f"replay to {to}" if to else "replay", rate=rate)

        async def one(letter: "DeadLetter") -> "Outcome":
            return await letters.replay(letter, to)

        if _goes_on(plan, screen, dry_run=dry_run, yes=yes):
            await _work(letters, wanted, plan, one, screen, rate)

    _run(run, nats_url, data_dir, shard, invalid=invalid)


@dead.command()
def purge(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Endpoint = None,
    destination: FromDestination = None,
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
    wanted = wanted_letters(
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
    if not all_ and wanted == wanted_letters():
        message = "purge without a filter removes every dead letter: give one, or say --all"
        raise ConfigurationError(message)
    screen = _screen(output, invalid=invalid)

    async def run(letters: "LetterStore") -> None:
        plan = await _plan(letters, wanted, screen)
        screen.plan(plan, "remove for good", rate=0)
        if _goes_on(plan, screen, dry_run=dry_run, yes=yes):
            await _work(letters, wanted, plan, letters.purge, screen, 0)

    _run(run, nats_url, data_dir, shard, invalid=invalid)


# -- what the verbs share


def _screen(output: Literal["table", "json"], *, invalid: bool) -> "DeadScreen":
    from forebay.cli.dead_screen import JsonScreen, TableScreen

    if output == "json":
        return JsonScreen()
    return TableScreen("invalid body", "invalid bodies") if invalid else TableScreen()


async def _plan(letters: "LetterStore", wanted: "LetterFilter", screen: "DeadScreen") -> "Plan":
    with screen.looking() as found:
        return await letters.plan(wanted, found)


def _goes_on(plan: "Plan", screen: "DeadScreen", *, dry_run: bool, yes: bool) -> bool:
    """Say whether a plan is to be carried out; where it is not, show that nothing changed."""
    if not dry_run and plan.total and _agreed(screen, yes=yes):
        return True
    screen.outcome(plan, {}, changed=False)
    return False


def _agreed(screen: "DeadScreen", *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        message = "nobody is here to be asked: say --yes, or --dry-run to change nothing"
        raise ConfigurationError(message)
    return screen.ask()


async def _work(  # what a plan needs to be carried out
    letters: "LetterStore",
    wanted: "LetterFilter",
    plan: "Plan",
    action: Callable[["DeadLetter"], Coroutine[Any, Any, "Outcome"]],
    screen: "DeadScreen",
    rate: float,
) -> None:
    """Carry a plan out, and say how far it came in any case."""
    from collections import Counter

    counts: Counter[Outcome] = Counter()
    try:
        with screen.working(plan.total) as advance:

            def done(outcome: "Outcome") -> None:
                counts[outcome] += 1
                advance()

            await letters.work(wanted, plan, action, done, rate)
    except asyncio.CancelledError:
        message = f"stopped after {counts.total()} of {plan.total}: the same command goes on"
        raise ForebayError(message) from None
    except ForebayError as error:
        message = f"{error}; {counts.total()} of {plan.total} are done: the same command goes on"
        raise ForebayError(message) from error
    screen.outcome(plan, counts, changed=True)


def _run(
    work: Callable[["LetterStore"], Coroutine[Any, Any, None]],
    nats_url: str | None,
    data_dir: Path,
    shard: str,
    *,
    invalid: bool,
) -> None:
    from forebay.core.naming import is_dns_label

    shards = tuple(part.strip() for part in shard.split(",") if part.strip())
    if not shards or not all(is_dns_label(each) for each in shards):
        message = f"--shard {shard!r} is none: give one such as 0"
        raise ConfigurationError(message)

    async def connected() -> None:
        from forebay.runtime.command_client import command_client
        from forebay.runtime.dead_letters import DeadLetters
        from forebay.runtime.invalid_bodies import InvalidBodies

        kind = InvalidBodies if invalid else DeadLetters
        async with command_client(await _nats(nats_url, data_dir)) as client:
            await work(kind(client, shards))

    asyncio.run(connected())


async def _nats(nats_url: str | None, data_dir: Path) -> "NatsSettings":
    """Find NATS: as said, else by the environment, else that of a run of this machine."""
    from forebay.local.running_nats import running_nats
    from forebay.runtime.settings import NatsSettings, load_settings

    settings = load_settings(NatsSettings).of_part("processor")
    if nats_url is not None:
        if not nats_url.startswith(("nats://", "tls://")):
            message = f"{nats_url!r} is no URL of NATS: give one such as nats://127.0.0.1:4222"
            raise ConfigurationError(message)
        return settings.model_copy(update={"url": nats_url})
    if "FOREBAY_NATS_URL" not in os.environ:
        local = await running_nats(data_dir)
        if local is not None:
            # It has no users and no certificates, whatever the environment says of others.
            return NatsSettings.model_construct(url=local)
    return settings
