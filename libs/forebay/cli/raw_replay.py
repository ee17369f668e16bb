"""`forebay raw replay`: a stored webhook split again, or what is in it delivered again."""

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    AsJson,
    DataDir,
    DryRun,
    NatsUrl,
    Output,
    Shard,
    Yes,
    check_can_be_asked,
    output_of,
)
from forebay.cli.events_replay import Rate, deliver_again
from forebay.cli.nats_session import shard_names, with_client
from forebay.cli.raw_webhooks import endpoint_of, webhooks_of
from forebay.core.errors import ConfigurationError, ForebayError, UnreadableBody

if TYPE_CHECKING:
    from forebay.core.webhook_items import CutWebhook
    from forebay.runtime.jetstream.api import StoredMessage
    from forebay.runtime.jetstream.command_client import CommandClient
    from forebay.runtime.webhook_replay import SplitPreview

__all__ = ["replay"]


def replay(  # noqa: PLR0913  # one parameter for each option
    which: Annotated[
        str,
        typer.Argument(
            metavar="SEQUENCE|ID",
            help="Its sequence in RAW, or the id of an item that came in it: `forebay events show` "
            "prints both.",
        ),
    ],
    *,
    to: Annotated[
        str | None,
        typer.Option(
            help="Deliver what is in it again to this destination of the endpoint, known or not.",
            show_default=False,
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole",
            help="With --to: deliver the webhook as one item, for a destination of format Raw.",
        ),
    ] = False,
    rate: Rate = 100.0,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Split a stored webhook again, or deliver what is in it again.

    Without --to it is split as if it came again: items that are known are not delivered again, and
    those that are not go to every destination that wants them. That is for a webhook that was set
    aside, or split with the wrong `provider`. It says how many there are of both, and asks.

    With --to each item in it is delivered again to that destination, with the same webhook-id as
    before: known ones, and those that are not stored as items any more. What waits for it, or is a
    dead letter there, is left alone.

    Examples:
      forebay raw replay 5120 --to crm

      forebay raw replay 5120 --to archive --whole

      forebay raw replay 0b6ea2e2a1c94d6c8f1e2d3c4b5a6978 --dry-run
    """
    from forebay.views.filters import check_label, webhook_place

    webhook_place(which)
    if to is not None:
        check_label(to, "--to")
    elif whole:
        message = "--whole goes with --to: say which destination gets the webhook"
        raise ConfigurationError(message)
    shards, printed = shard_names(shard), output_of(output, as_json=as_json)

    async def run(client: "CommandClient") -> None:
        async for place, webhook in webhooks_of(client, shards, which):
            endpoint_of(webhook)  # which it has to have
            if to is None:
                await _split(client, place, webhook, dry_run=dry_run, yes=yes, output=printed)
                continue
            from forebay.core.body_item import BODY_KIND
            from forebay.core.stored_items import StoredItemFilter
            from forebay.runtime.webhook_replay import WebhookItems

            cut = await _cut(client, place, webhook)
            items = WebhookItems(client, place, webhook, cut, to=to, whole=whole)
            wanted = StoredItemFilter(kind=BODY_KIND if whole else None)
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


async def _cut(client: "CommandClient", shard: str, webhook: "StoredMessage") -> "CutWebhook":
    """Cut a webhook; raises ForebayError where nothing could be delivered of it."""
    from forebay.core.webhook_items import cut_webhook

    await _check_split(client, shard, webhook)
    try:
        return cut_webhook(webhook.payload, webhook.headers)
    except UnreadableBody as error:
        message = (
            f"webhook {webhook.sequence} cannot be cut into items ({error}): `forebay raw show` "
            "shows it, and without --to it is split again"
        )
        raise ForebayError(message) from error


async def _check_split(client: "CommandClient", shard: str, webhook: "StoredMessage") -> None:
    from forebay.runtime.webhook_replay import is_split

    if not await is_split(client, shard, webhook):
        message = (
            f"webhook {webhook.sequence} is about to be split for the first time: nothing was "
            "done, and all in it is delivered by itself"
        )
        raise ForebayError(message)


async def _split(
    client: "CommandClient",
    shard: str,
    webhook: "StoredMessage",
    *,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    """Say what would come of splitting a webhook again, ask, and do it."""
    from forebay.core.webhook_items import cut_webhook
    from forebay.runtime.webhook_replay import preview, split_again

    await _check_split(client, shard, webhook)
    found: SplitPreview | None = None
    # The processors may be of another version, and have its endpoint's provider.
    with contextlib.suppress(UnreadableBody):
        found = await preview(client, shard, webhook, cut_webhook(webhook.payload, webhook.headers))
    if output == "table":
        _show(webhook, found)
    outcome = None
    if not (dry_run or yes):
        check_can_be_asked()
    if not dry_run and (yes or typer.confirm("Go on?", err=True)):
        outcome = await split_again(client, shard, webhook)
    if output == "json":
        _write(shard, webhook, found, None if outcome is None else outcome.name.lower())
    elif outcome is None:
        sys.stdout.write("nothing was changed\n")
    else:
        sys.stdout.write(f"{'split again' if outcome.name == 'REPLAYED' else outcome.value}\n")


def _show(webhook: "StoredMessage", found: "SplitPreview | None") -> None:
    sys.stdout.write(f"webhook {webhook.sequence} of {endpoint_of(webhook)}\n")
    if found is None:
        sys.stdout.write("  cannot be read here: what is in it is not known\n")
        return
    sys.stdout.write(f"  known already, not delivered again: {found.known:,}\n")
    sys.stdout.write(f"  not known, for every destination that wants it: {found.new:,}\n")
    if not found.new:
        sys.stdout.write("  nothing is delivered by this: --to NAME delivers what is in it again\n")


def _write(
    shard: str, webhook: "StoredMessage", found: "SplitPreview | None", outcome: str | None
) -> None:
    told: dict[str, Any] = {
        "shard": shard,
        "sequence": webhook.sequence,
        "endpoint": str(endpoint_of(webhook)),
        "known": None if found is None else found.known,
        "new": None if found is None else found.new,
        "changed": outcome == "replayed",
        "outcome": outcome,
    }
    sys.stdout.write(json.dumps(told) + "\n")
