"""`forebay processor`: one processor alone, as a container runs it."""

import typer

from forebay.cli.failures import import_part

__all__ = ["processor"]


def processor() -> None:
    """Run one processor alone, as a container does.

    It splits stored webhooks into items and delivers each to its destinations. All settings come
    from the environment: FOREBAY_NATS_URL, FOREBAY_TABLE_DIR (the folder with the endpoints'
    table), FOREBAY_SHARDS (such as 0), FOREBAY_PROCESSOR_ADMIN_HOST and _ADMIN_PORT for /livez,
    /readyz and /metrics, FOREBAY_LOG_LEVEL and FOREBAY_LOG_FORMAT (json or console).

    SIGTERM ends it after the deliveries in flight.
    """
    raise typer.Exit(import_part("forebay_processor.main", "processor").run())
