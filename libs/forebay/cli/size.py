"""`forebay size`: how large an installation has to be for a load, with values for the chart."""

import re
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from forebay.core.errors import ConfigurationError
from forebay.core.expected_load import ExpectedLoad, Isolation

__all__ = ["size"]

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})([mhd])")
_MINUTES: Final = {"m": 1, "h": 60, "d": 24 * 60}


def size(  # noqa: PLR0913  # one parameter per option
    *,
    outgoing: Annotated[
        int,
        typer.Option(
            help="Messages per second that all channels send in their busiest time, each of which "
            "comes back as three webhooks (sent, delivered, read).",
            show_default=False,
        ),
    ],
    incoming: Annotated[
        int | None,
        typer.Option(
            help="Messages per second that come in at that time. By default 30 % of --outgoing, "
            "as a rule of thumb for replies.",
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        int, typer.Option(help="Numbers, each with an endpoint of its own (1 to 10,000).")
    ] = 1,
    retention: Annotated[
        str,
        typer.Option(
            help="How long webhooks are kept, such as 7d or 48h. Providers send again for 7 days: "
            "below that a late repeat may be delivered twice."
        ),
    ] = "7d",
    busy: Annotated[
        str,
        typer.Option(
            help="How long of each day it is that busy, all in all, such as 20m or 8h. What is "
            "kept, so memory and disk of NATS, follows from it."
        ),
    ] = "1h",
    outage: Annotated[
        str,
        typer.Option(
            help="How long all destinations may be down meanwhile, before what waits for them "
            "holds back what is new. Nothing is lost after it, either."
        ),
    ] = "1h",
    body: Annotated[int, typer.Option(help="Bytes of a webhook (100 to 100,000).")] = 1000,
    servers: Annotated[
        int,
        typer.Option(
            help="NATS servers, 3 or 1; with 1 the loss of its volume loses webhooks.",
        ),
    ] = 3,
    isolation: Annotated[
        Isolation,
        typer.Option(help="Whether channels share receivers, or have two or more each."),
    ] = Isolation.SHARED,
    host: Annotated[
        str | None, typer.Option(help="The public host, for the values.", show_default=False)
    ] = None,
    values_out: Annotated[
        Path | None,
        typer.Option(
            help="Write the values for the chart to this file; - prints them, and nothing else.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, with all figures that were measured, and where."),
    ] = False,
) -> None:
    """Reckon how large an installation has to be: pods, shards, and memory and disk of NATS.

    Needs no cluster and changes nothing. Give the busiest time: the webhooks follow from it by the
    provider's formula, 3 x outgoing + incoming. Pods are sized so that one may be away.

    What it reckons with was measured by the benchmarks of this repository, on 2 cores; beyond
    3,300 webhooks/s it is a model, whose assumptions are printed. docs/sizing.md explains all of
    it. Measure your own load on your own nodes: [bold]forebay simulate[/bold].

    Examples:
      forebay size --outgoing 80

      forebay size --outgoing 1000 --incoming 300 --channels 20 --retention 7d --busy 30m

      forebay size --outgoing 80 --host hooks.example.com --values-out values.yaml

      helm install forebay charts/forebay -n forebay --create-namespace -f values.yaml
    """
    from forebay.cli.printers.size_printer import print_sizing
    from forebay.core.sizing import size as sizing_of
    from forebay.core.sizing_values import values_file

    load = ExpectedLoad(
        outgoing=outgoing,
        incoming=-(-outgoing * 3 // 10) if incoming is None else incoming,
        channels=channels,
        retention_hours=-(-_minutes("--retention", retention) // 60),
        busy_minutes=_minutes("--busy", busy),
        outage_minutes=_minutes("--outage", outage),
        body_bytes=body,
        isolation=isolation,
        servers=servers,
    )
    sized = sizing_of(load)
    if host is not None and not _HOST.fullmatch(host):
        message = f"--host {host!r} is no host: give one such as hooks.example.com, without a port"
        raise ConfigurationError(message)
    values = values_file(sized, host=host)
    if values_out is not None and str(values_out) == "-":
        sys.stdout.write(values)
        return
    if values_out is not None:
        try:
            values_out.write_text(values, encoding="utf-8")
        except OSError as error:
            message = f"{values_out} cannot be written ({error.strerror}): name another file"
            raise ConfigurationError(message) from error
    print_sizing(sized, as_json=as_json, values_out=values_out)


_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _minutes(option: str, text: str) -> int:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        message = f"{option} {text!r} is no time: give one such as 30m, 48h or 7d"
        raise ConfigurationError(message)
    return int(match[1]) * _MINUTES[match[2]]
