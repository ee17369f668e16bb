"""`forebay simulate`: play a provider towards a URL, and count what came of it."""

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn, cast, get_args

import typer

from forebay.core.providers.names import ProviderName, SimulatedName

__all__ = ["simulate"]

NOT_ACCEPTED = 1
"""Exit code: some webhooks were never answered 200."""

SIMULATED: Final[tuple[str, ...]] = get_args(SimulatedName)

USAGE = 2
"""Exit code: a setting cannot be used."""


def simulate(  # noqa: PLR0913  # one parameter per option
    *,
    url: Annotated[
        str,
        typer.Option(
            help="Where the webhooks go, such as http://127.0.0.1:8080/v1/webhooks/demo/meta.",
            show_default=False,
        ),
    ],
    provider: Annotated[
        str, typer.Option(help="Whose headers to send.", metavar=f"[{'|'.join(SIMULATED)}]")
    ] = "meta",
    rate: Annotated[
        float,
        typer.Option(
            help="Webhooks per second. They are sent on a schedule and wait for no answer."
        ),
    ] = 100.0,
    duration: Annotated[float, typer.Option(help="Seconds in which new webhooks leave.")] = 10.0,
    secret: Annotated[
        str | None,
        typer.Option(
            help="Sign each webhook with this secret, as the provider does.",
            envvar="FOREBAY_SIMULATE_SECRET",
            show_default=False,
        ),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            help="'Name: value' to send with each webhook, such as 'Authorization: Bearer "
            "example-token'. Can be given several times.",
            show_default=False,
        ),
    ] = None,
    payloads: Annotated[
        Path | None,
        typer.Option(
            help="Send the .json files of this folder byte for byte, in turns, instead of made-up "
            "webhooks. From the second turn on they count as repeats.",
            show_default=False,
        ),
    ] = None,
    duplicates: Annotated[
        float,
        typer.Option(help="Share of webhooks to send twice (0 to 1), as providers do at times."),
    ] = 0.0,
    batch: Annotated[int, typer.Option(help="Items in each made-up webhook (1 to 1000).")] = 1,
    retry_for: Annotated[
        float,
        typer.Option(
            help="Seconds after the last new webhook in which refused ones are still sent again.",
        ),
    ] = 30.0,
    connections: Annotated[int, typer.Option(help="Requests in flight at most.")] = 256,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Send the same bytes as an earlier run with this seed. Against the same Forebay "
            "they are all repeats, and nothing is delivered twice.",
            show_default=False,
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(
            help="Write a JSON line per webhook to this file: its items' keys, whether it was "
            "accepted, and how often it was sent.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="End with one JSON object on the last line, for programs."),
    ] = False,
    allow_remote: Annotated[
        bool,
        typer.Option(
            "--allow-remote", help="Allow a URL outside of this machine. Ask its owner first."
        ),
    ] = False,
) -> None:
    """Play 360dialog or Meta: send signed webhooks, retry what is refused, count what came of it.

    Only a 200 counts as accepted; anything else is sent again with growing delay, as the providers
    do. Latencies count from the moment on the schedule, so that a slow answer hides nothing.

    Example, against `forebay run`:

      forebay simulate --url http://127.0.0.1:8080/v1/webhooks/demo/meta
      --secret example-app-secret --rate 200 --duration 10 --duplicates 0.05

    Exits with 0 if all webhooks were accepted, 1 if some never were, 2 if an option cannot be used.
    Ctrl-C ends the run early and still shows the figures.
    """
    from forebay.core.errors import ConfigurationError

    try:
        from forebay_simulator.plan import Plan, parse_header
        from forebay_simulator.terminal import play
    except ModuleNotFoundError as error:
        _refuse(f"{error.name} is missing: install Forebay with its extra `local`")
    try:
        plan = Plan(
            url=url,
            provider=_provider(provider),
            rate=rate,
            duration=duration,
            secret=secret,
            headers=tuple(parse_header(each) for each in header or ()),
            payloads=payloads,
            batch=batch,
            duplicates=duplicates,
            retry_for=retry_for,
            connections=connections,
            seed=seed,
            allow_remote=allow_remote,
            keep_ledger=ledger is not None,
        )
        result = play(plan, as_json=as_json, ledger=ledger)
    except ConfigurationError as error:
        _refuse(str(error))
    if result.lost:
        raise typer.Exit(NOT_ACCEPTED)


def _provider(name: str) -> SimulatedName:
    if name not in SIMULATED:
        message = (
            f"--provider {name!r} cannot be played: there are {' and '.join(map(repr, SIMULATED))}"
        )
        if name in get_args(ProviderName):
            message += "; such an endpoint takes any JSON, as in the curl line of `forebay run`"
        _refuse(message)
    return cast("SimulatedName", name)


def _refuse(message: str) -> NoReturn:
    """End with one sentence of what to do."""
    print(f"forebay simulate: {message}", file=sys.stderr)  # noqa: T201  # for a person
    raise typer.Exit(USAGE)
