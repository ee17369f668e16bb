"""Where items go: what a manifest says of a destination."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from forebay.core.expression_spec import FilterSpec, TransformSpec
from forebay.core.field_types import (
    Digits,
    EventKind,
    HeaderName,
    HeaderValue,
    HttpUrl,
    Name,
    SchemaName,
    duration,
)
from forebay.core.nats_spec import NatsSpec
from forebay.core.python_spec import PythonSpec
from forebay.core.spec_base import (
    ResourceRecord,
    SecretKeyRef,
    SecretSource,
    SecretSources,
)
from forebay.core.tls_spec import TlsSpec

__all__ = [
    "DESTINATION_KINDS",
    "BatchSpec",
    "DestinationSpec",
    "HttpSpec",
    "LogSpec",
    "NatsSpec",
    "OutgoingHeader",
    "PostgresSpec",
    "PythonSpec",
    "RetrySpec",
    "SigningSpec",
    "TlsSpec",
]


OWN_HEADERS: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    },
)
"""Headers of a delivery that Forebay or HTTP itself sets: a manifest may not."""


class OutgoingHeader(ResourceRecord):
    """A header of each delivery: written out, or from a Secret."""

    name: HeaderName
    value: HeaderValue | None = None
    secret_key_ref: SecretKeyRef | None = None

    @field_validator("name")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name.lower() in OWN_HEADERS:
            message = f"{name} is set by Forebay itself: remove it here"
            raise ValueError(message)
        return name

    @model_validator(mode="after")
    def _has_one_value(self) -> Self:
        if (self.value is None) == (self.secret_key_ref is None):
            message = "give either `value` or `secretKeyRef`"
            raise ValueError(message)
        return self


class SigningSpec(ResourceRecord):
    """One Standard Webhooks secret, `whsec_...`, or several while it is changed."""

    secret_key_ref: SecretKeyRef | None = None
    secrets: SecretSources | None = None
    """Each signs: the destination may know any of them."""

    @model_validator(mode="after")
    def _is_given_one_way(self) -> Self:
        if (self.secret_key_ref is None) == (self.secrets is None):
            message = "give either `secretKeyRef` or `secrets`"
            raise ValueError(message)
        return self


class BatchSpec(ResourceRecord):
    """Several events in one request: a POST of `application/cloudevents-batch+json`, or rows."""

    max_items: Annotated[int, Field(ge=2, le=1000)] = 100
    max_bytes: Annotated[int, Field(ge=1024, le=4_194_304)] = 1_048_576
    """Of the request's body. One event that is larger travels alone."""

    max_wait: Annotated[float, duration("10ms", "5s")] = 0.1
    """How long an event waits for others."""


class HttpSpec(ResourceRecord):
    """Each item as a CloudEvent, alone or in batches, or each webhook as the provider sent it."""

    url: HttpUrl
    format: Literal["Event", "Raw"] = "Event"
    content_type: Literal["application/cloudevents+json", "application/json"] = (
        "application/cloudevents+json"
    )
    """Of events: the second for programs that read JSON under no other name."""

    headers: Annotated[tuple[OutgoingHeader, ...], Field(max_length=16)] = ()
    signing: SigningSpec | None = None
    tls: TlsSpec | None = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 64
    """Requests in flight, shared by the processors."""

    rate_per_second: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Requests a second; 0 for no limit."""

    batch: BatchSpec | None = None
    """Left out: one event in each request."""

    @model_validator(mode="after")
    def _batches_events_only(self) -> Self:
        if self.batch is not None and self.format == "Raw":
            message = "`batch` is for events: set `format: Event`, or remove `batch`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _names_events_only(self) -> Self:
        if self.format == "Raw" and self.content_type == "application/json":
            message = (
                "`contentType` is for events, a webhook has the provider's: set `format: Event`, "
                "or remove `contentType`"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _has_tls_for_https_only(self) -> Self:
        if self.tls is not None and not self.url.startswith("https:"):
            message = "`tls` is for https only: change the url, or remove `tls`"
            raise ValueError(message)
        return self

    @field_validator("headers")
    @classmethod
    def _are_distinct(cls, headers: tuple[OutgoingHeader, ...]) -> tuple[OutgoingHeader, ...]:
        names = [header.name.lower() for header in headers]
        for name in names:
            if names.count(name) > 1:
                message = f"header {name!r} stands here twice: remove one"
                raise ValueError(message)
        return headers


class LogSpec(ResourceRecord):
    """A line in the processor's log for each item, without its content."""


class PostgresSpec(ResourceRecord):
    """Each item as a row of a PostgreSQL database, in batches."""

    dsn: SecretSource
    """`postgresql://user:password@host:5432/database`. The server's certificate is checked, unless
    it ends in `?sslmode=disable`."""

    schema_name: SchemaName = "forebay"
    """Where the tables are; made where it is missing."""

    retention_days: Annotated[int, Field(ge=0, le=3650)] = 0
    """Rows are removed after so many days; 0 for never."""

    tls: TlsSpec | None = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """For one batch."""

    max_in_flight: Annotated[int, Field(ge=1, le=64)] = 4
    """Batches in flight, shared by the processors: each has a connection."""

    rate_per_second: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Batches a second; 0 for no limit."""

    batch: BatchSpec = BatchSpec()


class RetrySpec(ResourceRecord):
    """How long to go on with an item that the destination did not take, in seconds."""

    initial_delay: Annotated[float, duration("100ms", "1h")] = 1.0
    max_delay: Annotated[float, duration("100ms", "24h")] = 600.0
    max_age: Annotated[float, duration("1s", "168h")] = 72 * 3600.0
    """After this the item is a dead letter. At most 168h: claims are kept for 192h as shipped."""

    @model_validator(mode="after")
    def _delays_are_in_order(self) -> Self:
        if self.initial_delay > self.max_delay:
            message = "initialDelay is above maxDelay: raise maxDelay or lower initialDelay"
            raise ValueError(message)
        return self


DESTINATION_KINDS: Final = ("http", "log", "postgres", "nats", "python")


class DestinationSpec(ResourceRecord):
    """One place that items go to, and which of them."""

    name: Name
    events: Annotated[tuple[EventKind, ...], Field(min_length=1)] | None = None
    """Kinds of items; left out for all."""

    channels: Annotated[tuple[Digits, ...], Field(min_length=1)] | None = None
    """Phone number ids whose items go here; left out for all."""

    filter: FilterSpec | None = None
    transform: TransformSpec | None = None
    http: HttpSpec | None = None
    log: LogSpec | None = None
    postgres: PostgresSpec | None = None
    nats: NatsSpec | None = None
    python: PythonSpec | None = None
    retry: RetrySpec = RetrySpec()

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = [kind for kind in DESTINATION_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            message = f"give exactly one of {', '.join(DESTINATION_KINDS)}, such as `log: {{}}`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _asks_of_events_only(self) -> Self:
        is_raw = self.http is not None and self.http.format == "Raw"
        for name in ("filter", "transform"):
            if is_raw and getattr(self, name) is not None:
                message = f"`{name}` is for events: set `format: Event`, or remove `{name}`"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _transforms_what_is_handed_over(self) -> Self:
        if self.transform is not None and (self.postgres is not None or self.log is not None):
            message = (
                "`transform` is for http, nats and python: a row's columns are read from what the "
                "provider sent, and a line in the log has no content; remove `transform`"
            )
            raise ValueError(message)
        return self

    @property
    def kind(self) -> str:
        """Return which of `DESTINATION_KINDS` it is."""
        return next(kind for kind in DESTINATION_KINDS if getattr(self, kind) is not None)

    @property
    def max_in_flight(self) -> int:
        """Return how many requests it may have under way; 0 for a kind that makes none."""
        asked: int = getattr(getattr(self, self.kind), "max_in_flight", 0)
        return asked
