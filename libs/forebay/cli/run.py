"""`forebay run`: all of Forebay on this machine."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from forebay.cli.failures import require
from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.local.options import Options
    from forebay.local.reporters import Reporter

__all__ = ["run"]

EXAMPLES: Final = Path("examples")


def run(  # noqa: PLR0913  # one parameter for each option
    *,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file",
            "-f",
            help="A manifest, or a folder with some; may stand several times. "
            "Default: examples/ in the current folder.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Where webhooks come in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where webhooks come in.")] = 8080,
    admin_port: Annotated[
        int,
        typer.Option(min=1, max=65535, help="The receiver's health and metrics."),
    ] = 9090,
    processor_admin_port: Annotated[
        int,
        typer.Option(min=1, max=65535, help="The processor's health and metrics."),
    ] = 9091,
    data_dir: Annotated[
        Path,
        typer.Option(help="Store, tables and logs. Keep it, and the next start goes on with it."),
    ] = Path(".forebay"),
    nats_url: Annotated[
        str | None,
        typer.Option(
            help="Use a NATS that runs already, such as nats://127.0.0.1:4222, instead of an "
            "embedded one. User, password and CA come from FOREBAY_NATS_USER, _PASSWORD, _TLS_CA.",
            show_default=False,
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="What the parts write to their logs."),
    ] = "info",
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print the URLs once all is ready, and errors."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object once all is ready, for programs."),
    ] = False,
) -> None:
    """Run all of Forebay on this machine.

    Starts a nats-server with its store in .forebay/, a receiver and a processor, and serves the
    WebhookEndpoint manifests it is given: the same that a cluster takes. Prints for each endpoint
    its URL and a curl line to try it. A manifest that is edited is in force a second later.

    Secrets come from Secret manifests beside the endpoints, or from the environment: key app-secret
    of Secret crm in namespace acme is FOREBAY_SECRET_ACME_CRM_APP_SECRET.

    Ctrl-C stops everything in order. What is stored and not delivered goes on at the next start.

    Examples:
      forebay run

      forebay run -f my-endpoint.yaml -f secrets/ --port 8081

      forebay run --nats-url nats://127.0.0.1:4222 --json
    """
    # What is missing is reported before anything starts.
    require("local", "yaml", "fastapi", "uvicorn", "aiohttp")
    from forebay.local.options import Options

    if nats_url is not None and not nats_url.startswith(("nats://", "tls://")):
        message = f"{nats_url!r} is no URL of NATS: give one such as nats://127.0.0.1:4222"
        raise ConfigurationError(message)
    options = Options(
        files=tuple(file or _examples()),
        data_dir=data_dir,
        host=host,
        port=port,
        admin_port=admin_port,
        processor_admin_port=processor_admin_port,
        nats_url=nats_url,
        log_level=log_level,
    )
    asyncio.run(_run(options, _reporter(quiet=quiet, as_json=as_json)))


async def _run(options: "Options", reporter: "Reporter") -> None:
    from forebay.local.supervisor import LocalSupervisor

    await LocalSupervisor(options, reporter, os.environ).run()


def _examples() -> list[Path]:
    if not EXAMPLES.is_dir():
        message = "there is no folder examples/ here: name a manifest, or a folder with some, by -f"
        raise ConfigurationError(message)
    return [EXAMPLES]


def _reporter(*, quiet: bool, as_json: bool) -> "Reporter":
    from forebay.local.reporters import JsonReporter, PlainReporter, QuietReporter

    if as_json:
        return JsonReporter()
    if quiet:
        return QuietReporter()
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "CI" not in os.environ:
        from forebay.local.live_reporter import LiveReporter

        return LiveReporter()
    return PlainReporter()
