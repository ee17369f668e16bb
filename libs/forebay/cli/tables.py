"""`forebay tables`: tables and streams for parts that run without an operator."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from forebay.cli.failures import require

__all__ = ["tables"]


def tables(
    *,
    file: Annotated[
        list[Path],
        typer.Option(
            "--file", "-f", help="A manifest, or a folder with some; may stand several times."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The folder that gets receiver/ and processor/: what FOREBAY_TABLE_DIR of each is "
            "to name. Secrets are in there: only the user who runs this may read it."
        ),
    ],
    once: Annotated[
        bool, typer.Option("--once", help="Write them and end, instead of following changes.")
    ] = False,
) -> None:
    """Make tables of manifests, and the streams, for a receiver and a processor of your own.

    What the operator does on a cluster and [bold]forebay run[/bold] on one machine, for parts that
    something else starts, such as compose.yaml: reads WebhookEndpoint manifests, writes what
    receivers and processors know of them, makes the streams of shard 0, and follows changes until
    SIGTERM. A manifest that cannot be used is reported, and the tables of before stay in force.

    NATS is named by FOREBAY_NATS_URL, _USER, _PASSWORD, _CREDENTIALS and _TLS_CA. Secrets come from
    Secret manifests, or from the environment as for [bold]forebay run[/bold].

    Examples:
      forebay tables -f examples/ --out /var/lib/forebay/tables

      FOREBAY_NATS_URL=nats://nats:4222 forebay tables -f endpoints/ --out tables --once
    """
    require("operator", "yaml")
    from forebay.local.table_writer import TableWriter
    from forebay.runtime.settings import NatsSettings, load_settings

    writer = TableWriter(file, out, os.environ)
    nats = load_settings(NatsSettings).of_part("operator")
    count = writer.write()

    async def work() -> None:
        await writer.provision(nats)
        sys.stdout.write(f"ready: {count} endpoints in {out}\n")
        sys.stdout.flush()
        if not once:
            await writer.follow()

    asyncio.run(work())
