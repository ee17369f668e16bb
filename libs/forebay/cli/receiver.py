"""`forebay receiver`: one receiver alone, as a container runs it."""

import typer

from forebay.cli.failures import import_part

__all__ = ["receiver"]


def receiver() -> None:
    """Run one receiver alone, as a container does.

    It takes webhooks over HTTP and stores each in NATS before it answers. All settings come from
    the environment: FOREBAY_NATS_URL, FOREBAY_TABLE_DIR (the folder with the endpoints' table),
    FOREBAY_RECEIVER_HOST and _PORT for webhooks, FOREBAY_RECEIVER_ADMIN_HOST and _ADMIN_PORT for
    /livez, /readyz and /metrics, FOREBAY_LOG_LEVEL and FOREBAY_LOG_FORMAT (json or console).

    SIGTERM ends it after what is in flight is answered.
    """
    raise typer.Exit(import_part("forebay_receiver.main", "receiver").run())
