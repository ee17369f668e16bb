"""The tables from which receivers and processors know the endpoints.

The operator, or `forebay run`, writes them as JSON files; the parts read them and follow their
changes. A table is split over several files (on a cluster: one Secret each); an endpoint stands in
exactly one of them. Two kinds, so that no part holds secrets that it has no use for: receivers get
what checks a webhook, processors get what reaches a destination.

A field that a part does not know makes it refuse the file and keep what it had: an older receiver
that skipped an unknown way of authentication would let strangers in.
"""

from typing import Any, Literal, TypeVar

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.core.nats_target import NatsTarget
from forebay.core.providers.names import ProviderName
from forebay.core.python_target import PythonTarget
from forebay.core.table_records import HttpTls, TableRecord

__all__ = [
    "AnyTable",
    "Authentication",
    "BasicCheck",
    "Batch",
    "CertificateCheck",
    "Destination",
    "HeaderCheck",
    "HttpTarget",
    "HttpTls",
    "LogTarget",
    "NatsTarget",
    "OtherStreams",
    "PostgresTarget",
    "ProcessorEndpoint",
    "ProcessorTable",
    "PythonTarget",
    "ReceiverRoute",
    "ReceiverTable",
    "Retry",
    "SignatureCheck",
    "Target",
    "decode_table",
    "encode_table",
    "entry_bytes",
]

TABLE_FORMAT = 1
"""The version of the tables' own format."""


class HeaderCheck(TableRecord, frozen=True, kw_only=True):
    """A header that every webhook has to carry."""

    name: str
    """In lower case."""

    values: tuple[str, ...]
    """The live values; any of them will do (rotation). Never empty."""


class SignatureCheck(TableRecord, frozen=True, kw_only=True):
    """An HMAC-SHA256 over the raw body that every webhook has to carry, in hex."""

    header: str
    """In lower case."""

    prefix: Literal["required", "optional"]
    """Whether `sha256=` has to stand before the hex digits."""

    secrets: tuple[str, ...]
    """The live secrets; any of them will do (rotation). Never empty."""


class BasicCheck(TableRecord, frozen=True, kw_only=True):
    """A user name with its password, as RFC 7617 has them."""

    username: str
    password: str


class CertificateCheck(TableRecord, frozen=True, kw_only=True):
    """A TLS client certificate that a trusted proxy has verified and passes on."""

    names: tuple[str, ...]
    """Common names or DNS names; the certificate has to have one of them. Never empty."""


class Authentication(TableRecord, frozen=True, kw_only=True, omit_defaults=True):
    """All that a webhook has to prove; an empty one is refused unless `none` is set explicitly.

    What is not asked for is not written: a receiver of an older version, which refuses a field that
    it does not know, can still read a table in which no endpoint uses what is new.
    """

    none: bool = False
    headers: tuple[HeaderCheck, ...] = ()
    basic: tuple[BasicCheck, ...] = ()
    """The live pairs; any of them will do (rotation)."""

    signature: SignatureCheck | None = None
    client_certificate: CertificateCheck | None = None
    verify_tokens: tuple[str, ...] = ()
    """Guard the GET challenge only; they let no webhook in."""

    def check(self) -> None:
        """Raise ConfigurationError where this would let anyone in unasked, or no one at all."""
        ways = (self.headers, self.basic, self.signature, self.client_certificate)
        if not self.none and not any(ways):
            message = (
                "no authentication is set: give headers, basic, a signature or a client "
                "certificate, or say `none: true`"
            )
            raise ConfigurationError(message)
        values = [value for header in self.headers for value in (header.values or ("",))]
        values += [pair.password for pair in self.basic]
        if self.client_certificate is not None:
            values += self.client_certificate.names or ("",)
        if self.signature is not None:
            values += self.signature.secrets or ("",)
        if any(not value for value in (*values, *self.verify_tokens)):
            message = "a secret is empty: an endpoint with an empty secret is never served"
            raise ConfigurationError(message)


class ReceiverRoute(TableRecord, frozen=True, kw_only=True):
    """One endpoint as receivers see it."""

    namespace: str
    name: str
    provider: ProviderName
    shard: str = "0"
    authentication: Authentication
    max_in_flight: int = 512
    """Webhooks of this endpoint in flight at one receiver process."""

    id_headers: tuple[str, ...] = ()
    """Headers, in lower case, the first of which that a POST carries is the event's id; with none
    of them each POST is an event. Empty where a provider's ids stand in its bodies."""

    @property
    def endpoint(self) -> EndpointName:
        """Which endpoint this is."""
        return EndpointName(self.namespace, self.name)


class ReceiverTable(TableRecord, frozen=True, kw_only=True):
    """One file of the receivers' table."""

    format: Literal[1] = 1
    generation: str
    """Changes with every change of the file; pods report it."""

    routes: tuple[ReceiverRoute, ...] = ()


class Batch(TableRecord, frozen=True, kw_only=True):
    """Several items in one request."""

    max_items: int = 100
    max_bytes: int = 1024 * 1024
    """Of the request's body. One event that is larger travels alone."""

    max_wait_seconds: float = 0.1
    """How long an event waits for others."""


class HttpTarget(TableRecord, frozen=True, kw_only=True):
    """An HTTP destination: CloudEvents, one or several in a POST, or webhooks as they came."""

    url: str
    format: Literal["Event", "Raw"] = "Event"
    content_type: Literal["application/cloudevents+json", "application/json"] = (
        "application/cloudevents+json"
    )
    """Of events, one or several in a POST."""

    headers: dict[str, str] = msgspec.field(default_factory=dict)
    signing_secrets: tuple[str, ...] = ()
    """Standard Webhooks secrets, `whsec_...`; each signs (rotation)."""

    tls: HttpTls | None = None
    timeout_seconds: float = 10.0
    max_in_flight: int = 64
    rate_per_second: float = 0.0
    """0 for no limit."""

    batch: Batch | None = None
    """None for one event in a POST."""


class LogTarget(TableRecord, frozen=True, kw_only=True):
    """A line in the processor's log for each item, without its content."""


class PostgresTarget(TableRecord, frozen=True, kw_only=True):
    """A PostgreSQL database: rows, several in a statement."""

    hosts: tuple[tuple[str, int], ...]
    """Names or addresses with their ports; the first that can be written to is used."""

    database: str
    user: str
    password: str = ""
    tls: HttpTls | None = HttpTls()
    """None for a connection without TLS."""

    schema: str = "forebay"
    retention_days: int = 0
    """0 for rows that are never removed."""

    timeout_seconds: float = 10.0
    max_in_flight: int = 4
    rate_per_second: float = 0.0
    """Batches; 0 for no limit."""

    batch: Batch = Batch()


Target = HttpTarget | LogTarget | PostgresTarget | NatsTarget | PythonTarget
"""What is special to each kind of destination."""


class Retry(TableRecord, frozen=True, kw_only=True):
    """How long to go on with an item that a destination did not take."""

    initial_delay_seconds: float = 1.0
    max_delay_seconds: float = 600.0
    max_age_seconds: float = 72 * 3600.0


class Destination(TableRecord, frozen=True, kw_only=True, omit_defaults=True):
    """Where items of an endpoint go. Exactly one of the kinds is set.

    What is not asked for is not written, as in `Authentication`.
    """

    name: str
    events: tuple[str, ...] = ()
    """Kinds of items that are delivered; empty for all."""

    channels: tuple[str, ...] = ()
    """Phone number ids whose items are delivered; empty for all."""

    filter: str = ""
    """In CEL: items for which it is true are delivered; empty for all."""

    transform: str = ""
    """In JMESPath: what is delivered of an item; empty for the provider's data."""

    http: HttpTarget | None = None
    log: LogTarget | None = None
    postgres: PostgresTarget | None = None
    nats: NatsTarget | None = None
    python: PythonTarget | None = None
    retry: Retry = Retry()

    def __post_init__(self) -> None:
        """Refuse one of no kind, whose items would go nowhere, or of several."""
        kinds = (self.http, self.log, self.postgres, self.nats, self.python)
        if sum(kind is not None for kind in kinds) != 1:
            message = "a destination is of exactly one kind"
            raise ValueError(message)

    @property
    def target(self) -> Target:
        """Return what is special to its kind."""
        target = self.http or self.log or self.postgres or self.nats or self.python
        assert target is not None  # noqa: S101  # see `__post_init__`
        return target

    @property
    def tls(self) -> HttpTls | None:
        """Return how TLS is to be, for kinds that have a connection; None for the system's way."""
        target = self.target
        return None if isinstance(target, LogTarget | PythonTarget) else target.tls


class OtherStreams(TableRecord, frozen=True, kw_only=True):
    """Streams of another shard in which an endpoint still has something: it was moved."""

    shards: tuple[str, ...]
    """Those whose claims count as well: what was seen there is a repeat here."""

    held: tuple[str, ...] = ()
    """Destinations for which items wait there: until none does, nothing is sent to them from here,
    or it would overtake those."""


class ProcessorEndpoint(TableRecord, frozen=True, kw_only=True):
    """One endpoint as processors see it."""

    namespace: str
    name: str
    provider: ProviderName
    shard: str = "0"
    channel: str | None = None
    """The phone number id of the endpoint's channel: items of others are marked."""

    ordering: Literal["Conversation", "None"] = "Conversation"
    status_order: Literal["Monotonic", "None"] = "Monotonic"
    """Whether statuses that come late are marked."""

    max_in_flight: int = 0
    """Requests in flight for all its destinations, shared by the processors; 0 for no limit but
    theirs."""

    id_headers: tuple[str, ...] = ()
    """As in `ReceiverRoute`."""

    paused: bool = False
    destinations: tuple[Destination, ...] = ()
    others: OtherStreams | msgspec.UnsetType = msgspec.UNSET
    """Not written for an endpoint that was never moved: a processor of an older version, which
    refuses a field that it does not know, can still read such a table."""

    @property
    def endpoint(self) -> EndpointName:
        """Which endpoint this is."""
        return EndpointName(self.namespace, self.name)

    @property
    def other_shards(self) -> tuple[str, ...]:
        """Other shards whose claims count as well."""
        return self.others.shards if isinstance(self.others, OtherStreams) else ()

    def is_held(self, destination: str) -> bool:
        """Say whether nothing is to be sent to a destination: what comes for it is parked."""
        others = self.others
        return self.paused or (isinstance(others, OtherStreams) and destination in others.held)


class ProcessorTable(TableRecord, frozen=True, kw_only=True):
    """One file of the processors' table."""

    format: Literal[1] = 1
    generation: str
    endpoints: tuple[ProcessorEndpoint, ...] = ()
    deleted: tuple[str, ...] = ()
    """Endpoints (`namespace/name`) that are gone: what is left of them is dropped."""


AnyTable = TypeVar("AnyTable", ReceiverTable, ProcessorTable)

_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode_table(table: ReceiverTable | ProcessorTable) -> bytes:
    """Return the file's JSON; equal tables give equal bytes."""
    return _ENCODER.encode(table)


def entry_bytes(entry: ReceiverRoute | ProcessorEndpoint) -> int:
    """Return the bytes that an endpoint takes in its table's file, with the comma behind it."""
    return len(_ENCODER.encode(entry)) + 1


def decode_table(data: bytes, kind: type[AnyTable]) -> AnyTable:
    """Read one file of a table.

    Raises:
        ConfigurationError: where the bytes are no table of this kind and format, or where an
            endpoint in it has no authentication or an empty secret.
    """
    try:
        table: Any = msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        message = f"this is no {kind.__name__} of format {TABLE_FORMAT}: {error}"
        raise ConfigurationError(message) from error
    if isinstance(table, ReceiverTable):
        for route in table.routes:
            try:
                route.authentication.check()
            except ConfigurationError as error:
                message = f"endpoint {route.endpoint}: {error}"
                raise ConfigurationError(message) from error
    return table  # type: ignore[no-any-return]  # narrowed above by `type=kind`
