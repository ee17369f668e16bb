"""`forebay destinations`: how each destination is, and what a person can do about one."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    DATA_DIR,
    DataDir,
    Endpoint,
    ForDestination,
    JsonOnly,
    NatsUrl,
)
from forebay.cli.help_formatting import unwrapped
from forebay.cli.nats_session import nats_epilog, with_client
from forebay.core.errors import ConfigurationError, ForebayError

if TYPE_CHECKING:
    from forebay.core.control import ControlRequest, ControlVerb
    from forebay.runtime.jetstream.command_client import CommandClient
    from forebay.runtime.jetstream.control_client import Answers

__all__ = ["destinations"]

destinations = typer.Typer(
    name="destinations",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Show how each destination is, and try one now that was mended.

    The running processors are asked: each has breakers and queues of its own, so what is shown is
    of all of them together, and what is done is done at each.

    A usual way:

      forebay destinations ls

      forebay destinations retry-now acme/shop crm
    """),
    epilog=nats_epilog("destinations ls"),
)

OfEndpoint = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="The endpoint, namespace/name.")
]
OfDestination = Annotated[
    str, typer.Argument(metavar="DESTINATION", help="The destination's name in its manifest.")
]


@destinations.command()
def ls(
    *,
    endpoint: Endpoint = None,
    destination: ForDestination = None,
    as_json: JsonOnly = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List all destinations: their state, why, what waits, since when, and when the next try comes.

    States: Up; Failing, where attempts fail and others are made; Open and Probing, where the
    breaker lets one attempt through now and then; Refused, where the destination answered 401, 403
    or 410 and is tried after pauses that grow to 4 h; Paused, as its endpoint is; Removed, where no
    manifest names it any more and something still waits.

    Examples:
      forebay destinations ls

      forebay destinations ls --endpoint acme/shop --json | jq 'select(.state != "Up")'
    """
    from forebay.core.control import ControlRequest, ControlVerb

    request = ControlRequest(
        verb=ControlVerb.LIST,
        endpoint=_endpoint(endpoint) if endpoint else "",
        destination=destination or "",
    )

    async def run(client: "CommandClient") -> None:
        from forebay.cli.printers.destinations_printer import print_destinations
        from forebay.core.control import merged

        found = await _asked(client, request)
        reports = merged(found.answers)
        print_destinations(reports, as_json=as_json)
        left_out = max(each.left_out for each in found.answers)
        if left_out:
            sys.stderr.write(
                f"forebay: {left_out:,} more are up: see them by --endpoint or --destination\n"
            )
        if found.missing:
            sys.stderr.write(f"forebay: {_missing(found)}: what they know is not shown\n")

    with_client(run, nats_url, data_dir)


@destinations.command(name="retry-now")
def retry_now(
    endpoint: OfEndpoint,
    destination: OfDestination,
    *,
    as_json: JsonOnly = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Try at once what waits for a destination, whatever pause it is in.

    Where its breaker is open, also after a refused credential, one attempt is made now, and the
    rest follows when that gets through. Else each conversation whose item failed is tried now.
    Nothing is lost by it: what fails again waits again.

    Examples:
      forebay destinations retry-now acme/shop crm
    """
    from forebay.core.control import ControlVerb

    _act(ControlVerb.RETRY_NOW, endpoint, destination, nats_url, data_dir, as_json=as_json)


@destinations.command(name="close-breaker")
def close_breaker(
    endpoint: OfEndpoint,
    destination: OfDestination,
    *,
    as_json: JsonOnly = False,
    nats_url: NatsUrl = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Close a destination's breaker, as a change of its spec does: everything is sent again.

    For a destination that you know to be back. Where it is not, the breaker opens again after a few
    attempts. [bold]retry-now[/bold] is gentler: it makes one attempt first.

    Examples:
      forebay destinations close-breaker acme/shop crm
    """
    from forebay.core.control import ControlVerb

    _act(ControlVerb.CLOSE_BREAKER, endpoint, destination, nats_url, data_dir, as_json=as_json)


def _act(  # one parameter for each option
    verb: "ControlVerb",
    endpoint: str,
    destination: str,
    nats_url: str | None,
    data_dir: DataDir,
    *,
    as_json: bool,
) -> None:
    from forebay.core.control import ControlRequest

    request = ControlRequest(verb=verb, endpoint=_endpoint(endpoint), destination=destination)

    async def run(client: "CommandClient") -> None:
        found = await _asked(client, request)
        done = [each for each in found.answers if not each.error]
        if not done:
            raise ConfigurationError(found.answers[0].error)
        changed = sum(each.changed for each in done)
        if as_json:
            told = {"processors": len(done), "missing": found.missing, "changed": changed}
            sys.stdout.write(f"{json.dumps(told)}\n")
        else:
            sys.stdout.write(f"{_outcome(verb, changed)}\n")
        if found.missing:
            message = f"{_missing(found)}: say the same again in a moment"
            raise ForebayError(message)

    with_client(run, nats_url, data_dir)


def _outcome(verb: "ControlVerb", changed: int) -> str:
    from forebay.core.control import ControlVerb

    match verb:
        case ControlVerb.CLOSE_BREAKER if changed:
            return "closed: what waits is sent now"
        case ControlVerb.CLOSE_BREAKER:
            return "no breaker was open: nothing to do"
        case _ if changed:
            what = "attempt begins" if changed == 1 else "attempts begin"
            return f"{changed:,} {what} now: `forebay destinations ls` shows what comes of it"
        case _:
            return "nothing waited for its time: nothing to do"


async def _asked(client: "CommandClient", request: "ControlRequest") -> "Answers":
    from forebay.runtime.jetstream.control_client import ask_processors

    return await ask_processors(client, request)


def _missing(found: "Answers") -> str:
    every = len(found.answers) + found.missing
    return f"{found.missing} of {every} processors did not answer"


def _endpoint(name: str) -> str:
    from forebay.core.endpoint_name import EndpointName

    try:
        return str(EndpointName.parse(name))
    except ValueError as error:
        message = f"{error}: give an endpoint such as acme/shop"
        raise ConfigurationError(message) from error
