"""The `WebhookEndpoint` resource, version `forebay.dev/v1alpha1`: what a person writes in YAML.

`forebay run` reads it from files and the operator from a cluster; both use this model, so that one
manifest means the same in both worlds. It is strict: a field that it does not know is refused, for
a misspelt `authentication` that was skipped would let strangers in. Every problem of a document is
told at once, each with its field and what to do.

What needs several fields at once is checked at the smallest record that holds them all.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from forebay.core.fields import (
    CertificateName,
    Digits,
    EventKind,
    HeaderName,
    HeaderValue,
    Host,
    HttpUrl,
    Name,
    Quantity,
    SecretKey,
    SecretName,
    ServerName,
    ShardName,
    UserName,
    duration,
    label,
)
from forebay.core.naming import EndpointName
from forebay.core.problems import InvalidEndpoint, explain
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import names_with_ids_in_headers, provider_of

__all__ = [
    "API_VERSION",
    "DESTINATION_KINDS",
    "KIND",
    "AuthenticationSpec",
    "BasicSpec",
    "BatchSpec",
    "ChannelSpec",
    "ClientCertificateSpec",
    "DeduplicationSpec",
    "DestinationSpec",
    "HeaderSpec",
    "HttpSpec",
    "LogSpec",
    "Metadata",
    "OutgoingHeader",
    "ProcessingSpec",
    "ReceiverSpec",
    "Replicas",
    "Resources",
    "RetrySpec",
    "SecretKeyRef",
    "SecretSource",
    "SignatureSpec",
    "SigningSpec",
    "Throughput",
    "TlsSpec",
    "WebhookEndpoint",
    "WebhookEndpointSpec",
    "parse_endpoint",
]

API_VERSION: Final = "forebay.dev/v1alpha1"
KIND: Final = "WebhookEndpoint"


class _Record(BaseModel):
    """What all records of the resource have in common."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # YAML's `"80"` is text and `yes` may be anything: what a cluster would refuse, we refuse.
        strict=True,
        alias_generator=to_camel,
        # A secret that was written where none belongs must not come out in a message.
        hide_input_in_errors=True,
        # Code names fields as Python does; a manifest may not: see `parse_endpoint`.
        validate_by_name=True,
    )


# --- secrets -------------------------------------------------------------------------------------


class SecretKeyRef(_Record):
    """A key of a Secret in the endpoint's own namespace."""

    name: SecretName
    key: SecretKey


class SecretSource(_Record):
    """Where a secret value comes from; it never stands in the manifest itself."""

    secret_key_ref: SecretKeyRef


SecretSources = Annotated[tuple[SecretSource, ...], Field(min_length=1, max_length=8)]
"""Live values, any of which will do: add the new one, change the sender, remove the old one."""


# --- who may send --------------------------------------------------------------------------------


class HeaderSpec(_Record):
    """A header that every webhook has to carry."""

    name: HeaderName
    values: SecretSources


class BasicSpec(_Record):
    """A user name with its password, as RFC 7617 has them."""

    username: UserName
    password: SecretSource


class SignatureSpec(_Record):
    """An HMAC over the body; header and prefix follow from the provider."""

    secrets: SecretSources


class ClientCertificateSpec(_Record):
    """A TLS client certificate, verified by the proxy in front of the receivers.

    The receivers have to be told which header of the proxy tells of it; else they refuse all.
    """

    names: Annotated[tuple[CertificateName, ...], Field(min_length=1, max_length=8)]
    """Common names or DNS names, any of which will do."""


class AuthenticationSpec(_Record):
    """What a webhook has to prove: all that is given here, at once."""

    headers: Annotated[tuple[HeaderSpec, ...], Field(max_length=8)] = ()
    basic: Annotated[tuple[BasicSpec, ...], Field(max_length=8)] = ()
    """Live pairs, any of which will do."""

    signature: SignatureSpec | None = None
    client_certificate: ClientCertificateSpec | None = None
    verify_token: SecretSource | None = None
    """Guards the GET challenge only: it lets no webhook in."""

    none: bool = False
    """Anyone may send. Has to be said out loud."""

    @model_validator(mode="after")
    def _is_one_of_the_ways(self) -> Self:
        asks = any((self.headers, self.basic, self.signature, self.client_certificate))
        if self.none and asks:
            message = "`none: true` lets anyone in: remove it, or remove what stands beside it"
            raise ValueError(message)
        if not self.none and not asks:
            message = (
                "give `headers`, `basic`, `signature` or `clientCertificate`, or say `none: true` "
                "to let anyone in (`verifyToken` guards the GET challenge only)"
            )
            raise ValueError(message)
        names = [header.name.lower() for header in self.headers]
        if self.basic and "authorization" in names:
            message = (
                "`basic` and a header Authorization are one header, which cannot hold both: remove "
                "one of them"
            )
            raise ValueError(message)
        for name in names:
            if names.count(name) > 1:
                message = f"header {name!r} stands here twice: give one, with several `values`"
                raise ValueError(message)
        return self


# --- what is a repeat ---------------------------------------------------------------------------


ID_HEADERS: Final = ("webhook-id", "idempotency-key", "ce-id", "x-github-delivery")
"""Standard Webhooks, the IETF's draft of that name, CloudEvents over HTTP, GitHub."""

SAME_IN_ALL: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "transfer-encoding",
        "user-agent",
    },
)
"""Headers that are the same in many requests: as an id they would merge what differs."""


class DeduplicationSpec(_Record):
    """What makes two POSTs one event, at an endpoint whose bodies carry no id that we know."""

    headers: Annotated[tuple[HeaderName, ...], Field(max_length=8)] = ID_HEADERS
    """Headers that hold a sender's id of the event; the first one that a POST carries counts. With
    none of them each POST is an event of its own."""

    @field_validator("headers")
    @classmethod
    def _tell_events_apart(cls, headers: tuple[str, ...]) -> tuple[str, ...]:
        names = [name.lower() for name in headers]
        for name in names:
            if names.count(name) > 1:
                message = f"header {name!r} stands here twice: remove one"
                raise ValueError(message)
            if name in SAME_IN_ALL:
                message = f"{name} is the same in many requests, so it is no event's id: remove it"
                raise ValueError(message)
        return headers


# --- size and place ------------------------------------------------------------------------------


class ChannelSpec(_Record):
    """The WhatsApp channel that this endpoint is for; items of others are marked, not dropped."""

    phone_number_id: Digits | None = None
    waba_id: Digits | None = None


class Throughput(_Record):
    """What the channel sends and is sent; sizes limits and the floor of the autoscaler."""

    messages_per_second: Annotated[int, Field(ge=1, le=10_000)] = 80
    """Messages that the business sends: 20 with coexistence, else 80, up to 1,000 a number."""

    reply_ratio: Annotated[float, Field(ge=0, le=10)] = 0.3
    """Messages that come in for each that goes out."""


class Replicas(_Record):
    """Bounds of the autoscaler."""

    min: Annotated[int, Field(ge=1, le=100)] = 2
    max: Annotated[int, Field(ge=1, le=100)] = 20

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.min > self.max:
            message = f"min ({self.min}) is above max ({self.max}): raise max or lower min"
            raise ValueError(message)
        return self


class Resources(_Record):
    """CPU and memory of a container, as in a pod."""

    requests: dict[Literal["cpu", "memory"], Quantity] = {}
    limits: dict[Literal["cpu", "memory"], Quantity] = {}


class ReceiverSpec(_Record):
    """The receivers of this endpoint on a cluster; `forebay run` has one for all."""

    isolation: Literal["Dedicated", "Shared"] | None = None
    """None for what the installation says, `Dedicated` as shipped."""

    replicas: Replicas = Replicas()
    resources: Resources | None = None


class ProcessingSpec(_Record):
    """Where and how items are worked off."""

    isolation: Literal["Shared", "Dedicated"] = "Shared"
    shard: ShardName = "0"
    """The set of streams. `forebay run` has one for all."""

    ordering: Literal["Conversation", "None"] = "Conversation"
    status_order: Literal["Monotonic", "None"] = "Monotonic"
    """`Monotonic`: a status that comes after a higher one of its message says so."""

    max_in_flight: Annotated[int, Field(ge=1, le=32_768)] | None = None
    """Requests in flight for the endpoint in all, shared by the processors; None for as many as its
    destinations allow."""


# --- destinations --------------------------------------------------------------------------------


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


class OutgoingHeader(_Record):
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


class SigningSpec(_Record):
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


class TlsSpec(_Record):
    """What is to be different from the system's way with an https destination."""

    ca: SecretSource | None = None
    """Certificates in PEM that the destination's is checked against, instead of the system's."""

    certificate: SecretSource | None = None
    """Ours, in PEM, with those between it and its authority; shown to who asks for one."""

    key: SecretSource | None = None
    """The certificate's private key in PEM, without a password."""

    server_name: ServerName | None = None
    """The name that the destination's certificate has to have, where it is not the URL's."""

    insecure_skip_verify: bool = False
    """Take any certificate: whoever stands in between can read and answer. Said out loud."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            message = "`certificate` and `key` belong together: give both or none"
            raise ValueError(message)
        if self.insecure_skip_verify and (self.ca is not None or self.server_name is not None):
            message = (
                "`insecureSkipVerify` checks nothing, so `ca` and `serverName` have no use: "
                "remove it, or remove them"
            )
            raise ValueError(message)
        return self


class BatchSpec(_Record):
    """Several events in one POST, as `application/cloudevents-batch+json`."""

    max_items: Annotated[int, Field(ge=2, le=1000)] = 100
    max_bytes: Annotated[int, Field(ge=1024, le=4_194_304)] = 1_048_576
    """Of the request's body. One event that is larger travels alone."""

    max_wait: Annotated[float, duration("10ms", "5s")] = 0.1
    """How long an event waits for others."""


class HttpSpec(_Record):
    """Each item as a CloudEvent, alone or in batches, or each webhook as the provider sent it."""

    url: HttpUrl
    format: Literal["Event", "Raw"] = "Event"
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


class LogSpec(_Record):
    """A line in the processor's log for each item, without its content."""


class RetrySpec(_Record):
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


DESTINATION_KINDS: Final = ("http", "log")


class DestinationSpec(_Record):
    """One place that items go to, and which of them."""

    name: Name
    events: Annotated[tuple[EventKind, ...], Field(min_length=1)] | None = None
    """Kinds of items; left out for all."""

    channels: Annotated[tuple[Digits, ...], Field(min_length=1)] | None = None
    """Phone number ids whose items go here; left out for all."""

    http: HttpSpec | None = None
    log: LogSpec | None = None
    retry: RetrySpec = RetrySpec()

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        given = [kind for kind in DESTINATION_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            message = f"give exactly one of {', '.join(DESTINATION_KINDS)}, such as `log: {{}}`"
            raise ValueError(message)
        return self

    @property
    def kind(self) -> str:
        """Return which of `DESTINATION_KINDS` it is."""
        return next(kind for kind in DESTINATION_KINDS if getattr(self, kind) is not None)


# --- the whole -----------------------------------------------------------------------------------


class WebhookEndpointSpec(_Record):
    """What is wanted."""

    provider: ProviderName
    channel: ChannelSpec | None = None
    host: Host | None = None
    """The public host; None for the installation's own."""

    throughput: Throughput = Throughput()
    authentication: AuthenticationSpec
    deduplication: DeduplicationSpec | None = None
    """For providers with ids in headers only: with the others the ids in the bodies tell. None for
    the defaults."""

    receiver: ReceiverSpec = ReceiverSpec()
    processing: ProcessingSpec = ProcessingSpec()
    destinations: Annotated[tuple[DestinationSpec, ...], Field(min_length=1, max_length=32)]
    paused: bool = False
    """Receiving goes on, delivering stops."""

    @model_validator(mode="after")
    def _names_headers_with_ids_where_they_are_read(self) -> Self:
        if self.deduplication is None or provider_of(self.provider).event_ids == "headers":
            return self
        names = " and ".join(names_with_ids_in_headers())
        message = (
            f"`deduplication` is for the provider {names} only: {self.provider}'s bodies carry "
            "ids of their own; remove it"
        )
        raise ValueError(message)

    @field_validator("destinations")
    @classmethod
    def _have_their_own_names(
        cls,
        destinations: tuple[DestinationSpec, ...],
    ) -> tuple[DestinationSpec, ...]:
        names = [destination.name for destination in destinations]
        for name in names:
            if names.count(name) > 1:
                message = f"two destinations are called {name!r}: give each a name of its own"
                raise ValueError(message)
        return destinations


class Metadata(_Record):
    """The part of an object's metadata that Forebay reads; a cluster adds more."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    namespace: Annotated[str, label(63)] = "default"


class WebhookEndpoint(_Record):
    """One endpoint, as it is applied."""

    api_version: Literal["forebay.dev/v1alpha1"]
    kind: Literal["WebhookEndpoint"]
    metadata: Metadata
    spec: WebhookEndpointSpec
    status: dict[str, object] | None = None
    """The operator's; no one reads it here."""

    @property
    def endpoint(self) -> EndpointName:
        """Which endpoint this is."""
        return EndpointName(self.metadata.namespace, self.metadata.name)


LATER: Final[Mapping[str, str]] = {
    "autoscaling": "autoscaling is set by the chart: remove it here",
    "image": "Python destinations are not in this version: remove it",
    "nats": "NATS destinations are not in this version: use http",
    "postgres": "PostgreSQL destinations are not in this version: use http",
    "python": "Python destinations are not in this version: use http",
    "registration": "registering the URL at the provider is not in this version: do it by hand",
    "value": "a secret never stands in a manifest: name a Secret with `secretKeyRef`",
}
"""Fields that a reader of the documentation may look for where they are not, and what to do."""


def parse_endpoint(document: Mapping[str, object]) -> WebhookEndpoint:
    """Read one manifest.

    Args:
        document: What YAML or JSON held.

    Raises:
        InvalidEndpoint: with every problem of the document.
    """
    # By way of JSON, as it reaches a cluster: what YAML makes of a date stays text.
    text = json.dumps(document, default=str)
    try:
        return WebhookEndpoint.model_validate_json(text, by_alias=True, by_name=False)
    except ValidationError as error:
        about = _name_as_far_as_known(document)
        raise InvalidEndpoint(explain(error, WebhookEndpoint, about, LATER)) from None


def _name_as_far_as_known(document: Mapping[str, object]) -> str:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        return ""
    return f"{metadata.get('namespace', 'default')}/{metadata['name']}"
