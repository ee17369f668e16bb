"""What the verbs of `forebay dead` have in common: NATS, what is found, the question, the work.

`dead` uses it, and the replays of items and webhooks, which are worked in the same way.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from forebay.cli.common_options import check_can_be_asked
from forebay.cli.nats_session import shard_names, with_client
from forebay.core.errors import ForebayError

if TYPE_CHECKING:
    from forebay.cli.printers.dead_printer import DeadLetterPrinter
    from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
    from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterPlan, DeadLetterStore
    from forebay.runtime.jetstream.command_client import CommandClient

__all__ = ["carry_out", "count", "goes_on", "printer_as", "with_store"]


def printer_as(output: Literal["table", "json"], *, invalid: bool) -> "DeadLetterPrinter":
    """Return the printer that `--output` names; `invalid` for bodies instead of items."""
    from forebay.cli.printers.dead_printer import JsonPrinter, TablePrinter

    if output == "json":
        return JsonPrinter()
    return TablePrinter("invalid body", "invalid bodies") if invalid else TablePrinter()


async def count(
    letters: "DeadLetterStore", wanted: "DeadLetterFilter", printer: "DeadLetterPrinter"
) -> "DeadLetterPlan":
    """Count what is meant, and show that it is being counted."""
    with printer.searching() as found:
        return await letters.plan(wanted, found)


def goes_on(
    plan: "DeadLetterPlan", printer: "DeadLetterPrinter", *, dry_run: bool, yes: bool
) -> bool:
    """Say whether a plan is to be carried out; where it is not, show that nothing changed."""
    if not dry_run and plan.total and _agreed(printer, yes=yes):
        return True
    printer.outcome(plan, {}, changed=False)
    return False


def _agreed(printer: "DeadLetterPrinter", *, yes: bool) -> bool:
    if yes:
        return True
    check_can_be_asked()
    return printer.ask()


async def carry_out(  # noqa: PLR0913  # what a plan needs to be carried out
    letters: "DeadLetterStore",
    wanted: "DeadLetterFilter",
    plan: "DeadLetterPlan",
    action: Callable[["DeadLetter"], Coroutine[Any, Any, "DeadLetterOutcome"]],
    printer: "DeadLetterPrinter",
    rate: float,
    *,
    again: str = "the same command goes on",
) -> None:
    """Carry a plan out, and say how far it came in any case; `again` is what to do then."""
    from collections import Counter

    counts: Counter[DeadLetterOutcome] = Counter()
    try:
        with printer.working(plan.total) as advance:

            def done(outcome: "DeadLetterOutcome") -> None:
                counts[outcome] += 1
                advance()

            await letters.work(wanted, plan, action, done, rate)
    except asyncio.CancelledError:
        message = f"stopped after {counts.total()} of {plan.total}: {again}"
        raise ForebayError(message) from None
    except ForebayError as error:
        message = f"{error}; {counts.total()} of {plan.total} are done: {again}"
        raise ForebayError(message) from error
    printer.outcome(plan, counts, changed=True)


def with_store(
    work: Callable[["DeadLetterStore"], Coroutine[Any, Any, None]],
    nats_url: str | None,
    data_dir: Path,
    shard: str,
    *,
    invalid: bool,
) -> None:
    """Connect to NATS and run a verb on its dead letters.

    Args:
        work: The verb.
        nats_url: As given by `--nats-url`; None where it was not.
        data_dir: Of a `forebay run` that may have a NATS.
        shard: One or several, separated by commas.
        invalid: Whether the bodies that could not be split are meant.

    Raises:
        ConfigurationError: where NATS or the shards that are named cannot be.
    """
    shards = shard_names(shard)

    async def run(client: "CommandClient") -> None:
        from forebay.runtime.dead_letter_replay import DeadLetters
        from forebay.runtime.invalid_body_replay import InvalidBodies

        kind = InvalidBodies if invalid else DeadLetters
        await work(kind(client, shards))

    with_client(run, nats_url, data_dir)
