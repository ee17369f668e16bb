"""`forebay operator`: the operator, as a container runs it."""

from typing import Annotated

import typer

from forebay.cli.failures import import_part

__all__ = ["operator"]


def operator(
    *,
    uninstall: Annotated[
        bool,
        typer.Option(
            "--uninstall",
            help="Stop the running operator, remove what it made and its finalizers, and exit.",
        ),
    ] = False,
) -> None:
    """Run the operator, as a container does.

    It makes a cluster match each WebhookEndpoint. All settings come from the environment:
    FOREBAY_OPERATOR_CONFIG (the file that the chart renders), FOREBAY_NATS_URL,
    FOREBAY_OPERATOR_ADMIN_HOST and _ADMIN_PORT for /livez, /readyz and /metrics, FOREBAY_LOG_LEVEL
    and FOREBAY_LOG_FORMAT (json or console). The cluster is found as kubectl finds it.

    SIGTERM ends it.
    """
    raise typer.Exit(import_part("forebay_operator.main", "operator").run(leave=uninstall))
