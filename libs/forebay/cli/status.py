"""`forebay status`: what the run of this folder is doing, once."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from forebay.cli.failures import require

__all__ = ["status"]


def status(
    *,
    data_dir: Annotated[
        Path, typer.Option(help="The folder of the run: what was given to `forebay run`.")
    ] = Path(".forebay"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> None:
    """Show once what the `forebay run` of this folder is doing.

    First what goes wrong: destinations that fail, with the reason and since when, breakers that are
    open, unreadable bodies, refusals with their most frequent reason, endpoints that are paused.
    Then what came and went of each endpoint since the parts started.

    Exit code 0 where something runs, whatever is wrong with it; 1 where nothing does.

    Examples:
      forebay status

      forebay status --json | jq '.destinations[] | .reason'
    """
    require("local", "rich", "prometheus_client")
    from rich.console import Console

    from forebay.local.status import document, read_status, show

    found = asyncio.run(read_status(data_dir.absolute()))
    if as_json:
        sys.stdout.write(f"{json.dumps(document(found))}\n")
    else:
        show(found, Console(highlight=False))
