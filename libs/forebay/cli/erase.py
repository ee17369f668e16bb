"""`forebay erase`: removes what is stored of one person."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

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
from forebay.cli.nats_session import nats_epilog, shard_names, with_client
from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.endpoint_name import EndpointName
    from forebay.core.person_matching import Person
    from forebay.runtime.jetstream.command_client import CommandClient
    from forebay.runtime.person_erasure import ErasureReport

__all__ = ["EPILOG", "erase"]

EPILOG = nats_epilog("erase -e acme/shop --user - --dry-run")

_HEX = frozenset("0123456789abcdef")
TOKEN_DIGITS = 16


def erase(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint", "-e", help="At this endpoint, namespace/name.", show_default=False
        ),
    ],
    user: Annotated[
        str | None,
        typer.Option(
            help="The person's number or user id, as webhooks have it (15550001234, without +); "
            "- to read it from stdin, where no list of processes shows it.",
            show_default=False,
        ),
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option(
            help="The person whose conversation has this token, as `forebay events ls --reveal` "
            "shows it.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = "table",
    as_json: AsJson = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
    shard: Shard = "0",
) -> None:
    """Remove what is stored of one person at an endpoint, for good: delivered, waiting or dead.

    It searches first, says what it found, and asks. Removed are the person's items in EVENTS, RETRY
    and DEAD, the webhooks in RAW that they came in, and what the index says of them; what waits is
    not delivered any more. A webhook that holds others too stays until it was split: the same
    command takes it then. What your destinations got is theirs to remove.

    A person who is known by a number and a user id is found by either. What lies where, and for how
    long: docs/personal-data.md.

    Examples:
      forebay erase -e acme/shop --user 15550001234 --dry-run

      forebay erase -e acme/shop --user - --yes < number.txt

      forebay erase -e acme/shop --conversation 0b6ea2e2a1c94d6c
    """
    from forebay.core.person_matching import Person
    from forebay.views.filters import endpoint_name

    name = endpoint_name(endpoint)
    if (user is None) == (conversation is None):
        message = "say who: either --user or --conversation"
        raise ConfigurationError(message)
    if conversation is not None and not (
        len(conversation) == TOKEN_DIGITS and _HEX.issuperset(conversation)
    ):
        message = f"--conversation {conversation!r} is no token: it is of {TOKEN_DIGITS} hex digits"
        raise ConfigurationError(message)
    names = frozenset[str]() if user is None else frozenset({_name_of(user)})
    conversations = frozenset[str]() if conversation is None else frozenset({conversation})
    person = Person(names=names, conversations=conversations)
    shards, printed = shard_names(shard), output_of(output, as_json=as_json)

    async def run(client: "CommandClient") -> None:
        await _run(client, shards, name, person, dry_run=dry_run, yes=yes, printed=printed)

    with_client(run, nats_url, data_dir)


def _name_of(user: str) -> str:
    from forebay.core.person_matching import NAME_CHARACTERS, NAME_LEAST

    if user == "-":
        user = sys.stdin.readline()
    name = user.strip()
    if not NAME_LEAST <= len(name) <= NAME_CHARACTERS:
        message = (
            f"--user has to be of {NAME_LEAST} to {NAME_CHARACTERS} characters: a number such as "
            "15550001234, or a user id"
        )
        raise ConfigurationError(message)
    if name.startswith("+"):
        message = "--user: webhooks have numbers without +, leave it out"
        raise ConfigurationError(message)
    return name


async def _run(  # noqa: PLR0913  # what the command was told
    client: "CommandClient",
    shards: tuple[str, ...],
    endpoint: "EndpointName",
    person: "Person",
    *,
    dry_run: bool,
    yes: bool,
    printed: str,
) -> None:
    from forebay.runtime.person_erasure import PersonErasure

    if not (dry_run or yes):
        check_can_be_asked()
    erasure = PersonErasure(client, shards, endpoint, person)
    report = await erasure.find()
    found = sum(each.found for each in report.streams)
    if printed == "table":
        _show(report, "found")
    goes_on = not dry_run and found > 0 and (yes or typer.confirm("Erase them?", err=True))
    if goes_on:
        report = await erasure.erase()
        if printed == "table":
            _show(report, "erased")
    if printed == "json":
        _write(report, changed=goes_on)
    elif not goes_on:
        sys.stdout.write("nothing was changed\n")


def _show(report: "ErasureReport", what: str) -> None:
    """Print a line for each stream, and one for what is left."""
    for each in report.streams:
        count = each.found if what == "found" else each.erased
        unit = "records" if "_INDEX_" in each.stream else "messages"
        sys.stdout.write(f"{each.stream:<20} {what}: {count:,} {unit}\n")
        for reason, left in sorted(each.left.items()):
            sys.stdout.write(f"{'':<20} left: {left:,} that hold others too ({reason.value})\n")
    names = "name" if report.names == 1 else "names"
    sys.stdout.write(f"the person is known by {report.names} {names}\n")
    if any(each.left for each in report.streams):
        sys.stdout.write(
            "what is left holds other persons, and goes by itself; when it was split or delivered, "
            "the same command removes it\n"
        )


def _write(report: "ErasureReport", *, changed: bool) -> None:
    streams = [
        {
            "stream": each.stream,
            "found": each.found,
            "erased": each.erased,
            "left": {reason.name.lower(): count for reason, count in sorted(each.left.items())},
        }
        for each in report.streams
    ]
    told = {"changed": changed, "names": report.names, "streams": streams}
    sys.stdout.write(json.dumps(told) + "\n")
