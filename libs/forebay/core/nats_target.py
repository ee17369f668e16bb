"""What processors get of a destination `nats`: one kind of target in the tables."""

from typing import Literal

from forebay.core.table_records import HttpTls, TableRecord

__all__ = ["NatsTarget"]


class NatsTarget(TableRecord, frozen=True, kw_only=True):
    """A subject of a NATS: each item as a CloudEvent in a message. Empty text where nothing is."""

    urls: tuple[str, ...]
    subject: str
    """A template, see `forebay.core.nats_subject`."""

    mode: Literal["Structured", "Binary"] = "Structured"
    acknowledge: Literal["Stream", "Server"] = "Stream"
    stream: str = ""
    user: str = ""
    password: str = ""
    token: str = ""
    credentials: str = ""
    """A JWT and a seed, as `nsc` writes them."""

    inbox_prefix: str = "_INBOX"
    tls: HttpTls | None = None
    """None for the system's way, where a URL or the server asks for TLS."""

    timeout_seconds: float = 10.0
    max_in_flight: int = 64
    rate_per_second: float = 0.0
    """0 for no limit."""
