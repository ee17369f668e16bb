"""Keeps destinations off the NATS that Forebay itself stores in, under whatever name it comes.

`address_guard` closes private networks; but an installation opens the network of its Services for
its tenants' destinations, and its own NATS is a Service as well. Nothing that a destination may say
reaches Forebay's subjects (`forebay.core.nats_subject`), so this is the second lock: for other
applications on that NATS, and for whatever may be found wrong with the first.

It fails closed: while our own NATS is away nobody can tell, and nothing is connected.
"""

from collections.abc import Callable

from forebay.runtime.jetstream.server_identity import ServerIdentity

__all__ = ["OWN_NATS", "OWN_NATS_AWAY", "OwnNats"]

OWN_NATS = (
    "the NATS that Forebay itself stores in: use another, or have it allowed by "
    "processors.ownNats of the chart, or FOREBAY_PROCESSOR_OWN_NATS"
)

OWN_NATS_AWAY = "Forebay's own NATS is away, so that whether this is another one is not known"


class OwnNats:
    """Recognises our own servers."""

    def __init__(self, server: Callable[[], ServerIdentity | None], *, is_allowed: bool) -> None:
        """Prepare.

        Args:
            server: The one that we are connected to at this moment; None where there is none.
            is_allowed: Whether destinations may be there, as the installation says.
        """
        self._server = server
        self._is_allowed = is_allowed

    def objection(self, other: ServerIdentity) -> str:
        """Return why no destination may be at a server; empty where one may."""
        if self._is_allowed:
            return ""
        own = self._server()
        if own is None:
            return OWN_NATS_AWAY
        return OWN_NATS if own.is_same(other) else ""
