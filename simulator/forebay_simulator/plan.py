"""What to play: every setting of a run, checked before anything is sent."""

import ipaddress
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from forebay.core.errors import ConfigurationError
from forebay.core.providers.names import SimulatedName

__all__ = ["Plan", "parse_header"]

MOST_WEBHOOKS: Final = 2_000_000
"""Webhooks of one run. A slip of the keyboard must not become a flood; this is half an hour at
1,000/s."""

MOST_PER_SECOND: Final = 20_000.0
"""More than one Python process can send anyway."""

LONGEST_SECONDS: Final = 24 * 3600.0

MOST_ITEMS: Final = 1_000
"""Items of one webhook: the providers' own limit."""

MOST_PEOPLE: Final = 10_000
"""Conversations of one run: so many numbers there are to make up."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run: what to send, where, how fast and for how long.

    Raises:
        ConfigurationError: where a setting cannot be used; the message is one sentence.
    """

    url: str
    """Where the webhooks go: an endpoint of a receiver."""

    provider: SimulatedName = "meta"
    """Whose headers to send."""

    rate: float
    """Webhooks per second. They are sent on a schedule, answered or not."""

    duration: float
    """Seconds in which new webhooks are sent."""

    secret: str | None = None
    """Signs each webhook as the provider does; without it nothing is signed."""

    headers: tuple[tuple[str, str], ...] = ()
    """Sent with each webhook, as 360dialog does with the headers that its customer registered."""

    payloads: Path | None = None
    """A folder of JSON files to send byte for byte, in turns; made-up webhooks without it."""

    batch: int = 1
    """Items in each made-up webhook."""

    people: int = 1_000
    """Conversations that go on at the same time, in made-up webhooks."""

    duplicates: float = 0.0
    """The share of webhooks that are sent twice, 0 to 1: at once, within 2 s, or right after the
    first was accepted."""

    retry_for: float = 30.0
    """Seconds after the last new webhook in which refused ones are still sent again."""

    timeout: float = 5.0
    """Seconds to wait for an answer: 360dialog gives up after 5."""

    connections: int = 256
    """Requests in flight at most. Waiting for a free one counts into the latency."""

    seed: int | None = None
    """Makes two runs equal, to the byte; without it every run has ids of its own."""

    allow_remote: bool = False
    """Whether the URL may be outside of this machine."""

    keep_ledger: bool = True
    """Whether the result carries a record per webhook: about 400 bytes each."""

    def __post_init__(self) -> None:
        """Check all settings."""
        _check_url(self.url, allow_remote=self.allow_remote)
        _within("the number of people", self.people, MOST_PEOPLE, "conversations")
        _within("the rate", self.rate, MOST_PER_SECOND, "webhooks per second")
        _within("the duration", self.duration, LONGEST_SECONDS, "seconds")
        _within("the timeout", self.timeout, LONGEST_SECONDS, "seconds")
        if self.rate * self.duration > MOST_WEBHOOKS:
            _refuse(
                f"{self.rate * self.duration:,.0f} webhooks are more than the {MOST_WEBHOOKS:,} "
                "of one run: lower the rate or the duration"
            )
        if not 1 <= self.batch <= MOST_ITEMS:
            _refuse(f"the batch has to be from 1 to {MOST_ITEMS} items, not {self.batch}")
        if self.batch > 1 and self.payloads is not None:
            _refuse("files are sent byte for byte: leave out either the batch or the payloads")
        if not 0 <= self.duplicates <= 1:
            _refuse(f"duplicates is a share from 0 to 1, not {self.duplicates:g}")
        if not 0 <= self.retry_for <= LONGEST_SECONDS:
            _refuse(f"retry-for has to be 0 to {LONGEST_SECONDS:g} seconds, not {self.retry_for:g}")
        if self.connections < 1:
            _refuse("at least one connection is needed")
        if self.secret == "":
            _refuse("the secret is empty: give the endpoint's secret, or leave it out")
        for name, value in self.headers:
            if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
                _refuse(f"the header {name!r} cannot be sent: give it as 'Name: value'")


def parse_header(text: str) -> tuple[str, str]:
    """Read a header as one writes it: `Name: value`.

    Raises:
        ConfigurationError: where the text has another form.
    """
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name.strip()):
        message = "a header is given as 'Name: value', such as 'Authorization: Bearer my-token'"
        raise ConfigurationError(message)
    return name.strip(), value.strip()


def _check_url(url: str, *, allow_remote: bool) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        message = f"{url!r} is no URL: {error}"
        raise ConfigurationError(message) from error
    if parts.scheme not in {"http", "https"} or not host:
        _refuse(
            f"{url!r} is no URL to send to: it has to be of the form "
            "http://127.0.0.1:8080/v1/webhooks/demo/meta"
        )
    elif not allow_remote and not _is_loopback(host):
        _refuse(
            f"{host} is not this machine, and a load test against others needs their consent: "
            "give --allow-remote if you have it"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _within(what: str, value: float, most: float, unit: str) -> None:
    if not math.isfinite(value) or not 0 < value <= most:
        _refuse(f"{what} has to be above 0 and at most {most:,.0f} {unit}, not {value:g}")


def _refuse(message: str) -> None:
    raise ConfigurationError(message)
