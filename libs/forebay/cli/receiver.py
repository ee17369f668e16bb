"""`forebay receiver`: one receiver alone, as a container runs it."""

from typing import Annotated

import typer

from forebay.cli.failures import import_part

__all__ = ["receiver"]


def receiver(
    *,
    settings: Annotated[
        bool,
        typer.Option("--settings", help="Print every setting with its default, and exit."),
    ] = False,
) -> None:
    """Run one receiver alone, as a container does.

    It takes webhooks over HTTP and stores each in NATS before it answers. All settings come from
    the environment: FOREBAY_NATS_URL, FOREBAY_TABLE_DIR (the folder with the endpoints' table),
    FOREBAY_RECEIVER_HOST and _PORT for webhooks, FOREBAY_RECEIVER_ADMIN_HOST and _ADMIN_PORT for
    /livez, /readyz and /metrics, FOREBAY_LOG_LEVEL and FOREBAY_LOG_FORMAT (json or console), and
    limits of time, size and number: `forebay receiver --settings` lists them all.

    SIGTERM ends it after what is in flight is answered.
    """
    if settings:
        from forebay.cli.settings_help import settings_text
        from forebay.runtime.settings import LogSettings, NatsSettings, PartSettings
        from forebay.runtime.tracing import TraceSettings

        own = import_part("forebay_receiver.settings", "receiver").ReceiverSettings
        typer.echo(settings_text((own, PartSettings, NatsSettings, LogSettings, TraceSettings)))
        raise typer.Exit
    raise typer.Exit(import_part("forebay_receiver.main", "receiver").run())
