"""Tables of thousands of endpoints, as the operator splits them over its 16 Secrets."""

from collections.abc import Sequence

from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute, SignatureCheck
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import Tables

__all__ = ["FILES", "FILE_LIMIT", "many_routes", "path_to", "write_many"]

FILES = 16
"""The operator's Secrets."""

FILE_LIMIT = 1024 * 1024
"""Bytes of a Secret."""


def many_routes(count: int, *, secret: str = APP_SECRET) -> list[ReceiverRoute]:
    """Return endpoints of tenants with ten each, half of Meta's and half of 360dialog's kind.

    Lengths are those of real ones; all that is of Meta's kind has the same secret, so that a test
    can sign for any of it.
    """
    return [
        ReceiverRoute(
            namespace=f"tenant-{number // 10:04d}",
            name=f"whatsapp-number-{number:05d}",
            provider="360dialog" if number % 2 else "meta",
            authentication=_headers(number) if number % 2 else _signature(number, secret),
            max_in_flight=528,
        )
        for number in range(count)
    ]


def path_to(route: ReceiverRoute) -> str:
    """Return the path of an endpoint."""
    return f"/v1/webhooks/{route.namespace}/{route.name}"


def write_many(tables: Tables, routes: Sequence[ReceiverRoute]) -> str:
    """Write endpoints to all files, as a turned link makes them all new; returns the generation."""
    generation = ""
    for number in range(FILES):
        generation = tables.write_routes(*routes[number::FILES], file=f"routes-{number:02d}.json")
    return generation


def _signature(number: int, secret: str) -> Authentication:
    return Authentication(
        signature=SignatureCheck(
            header="x-hub-signature-256", prefix="required", secrets=(secret, f"{number:032x}")
        ),
        verify_tokens=(f"verify-{number:032x}",),
    )


def _headers(number: int) -> Authentication:
    return Authentication(
        headers=(HeaderCheck(name="authorization", values=(f"Bearer {number:064x}",)),)
    )
