"""The `WebhookEndpoint` resource, version `forebay.dev/v1alpha1`: what a person writes in YAML.

`forebay run` reads it from files and the operator from a cluster; both use this model, so that one
manifest means the same in both worlds. It is strict: a field that it does not know is refused, for
a misspelt `authentication` that was skipped would let strangers in. Every problem of a document is
reported together, each with its field and what to do.

What needs several fields at once is checked at the smallest record that holds them all. The records
of authentication and of destinations are in modules of their own.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from forebay.core.authentication_spec import AuthenticationSpec
from forebay.core.destination_spec import DestinationSpec
from forebay.core.endpoint_name import EndpointName
from forebay.core.field_types import (
    Digits,
    HeaderName,
    Host,
    ImageName,
    Name,
    Quantity,
    ShardName,
    label,
)
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import names_with_ids_in_headers, provider_of
from forebay.core.spec_base import ResourceRecord
from forebay.core.subjects import is_dedicated
from forebay.core.throughput_spec import Throughput
from forebay.core.validation_errors import InvalidEndpoint, explain

__all__ = [
    "API_VERSION",
    "KIND",
    "ChannelSpec",
    "DeduplicationSpec",
    "Metadata",
    "ProcessingSpec",
    "ReceiverSpec",
    "Replicas",
    "Resources",
    "Throughput",
    "WebhookEndpoint",
    "WebhookEndpointSpec",
    "parse_endpoint",
]

API_VERSION: Final = "forebay.dev/v1alpha1"
KIND: Final = "WebhookEndpoint"


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


class DeduplicationSpec(ResourceRecord):
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


class ChannelSpec(ResourceRecord):
    """The WhatsApp channel that this endpoint is for; items of others are marked, not dropped."""

    phone_number_id: Digits | None = None
    waba_id: Digits | None = None


class Replicas(ResourceRecord):
    """Bounds of the autoscaler."""

    min: Annotated[int, Field(ge=1, le=100)] = 2
    max: Annotated[int, Field(ge=1, le=100)] = 20

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.min > self.max:
            message = f"min ({self.min}) is above max ({self.max}): raise max or lower min"
            raise ValueError(message)
        return self


class Resources(ResourceRecord):
    """CPU and memory of a container, as in a pod."""

    requests: dict[Literal["cpu", "memory"], Quantity] = {}  # noqa: RUF012  # pydantic copies it
    limits: dict[Literal["cpu", "memory"], Quantity] = {}  # noqa: RUF012  # pydantic copies it


class ReceiverSpec(ResourceRecord):
    """The receivers of this endpoint on a cluster; `forebay run` has one for all."""

    isolation: Literal["Dedicated", "Shared"] | None = None
    """None for what the installation says, `Dedicated` as shipped."""

    replicas: Replicas = Replicas()
    resources: Resources | None = None


class ProcessingSpec(ResourceRecord):
    """Where and how items are processed."""

    isolation: Literal["Shared", "Dedicated"] = "Shared"
    """`Dedicated`: in streams and by processors of its own. It may change: the endpoint is moved
    then, and nothing of it is lost, repeated or overtaken (docs/design/0042)."""

    image: ImageName | None = None
    """What its own processors run, with the handlers of `python` destinations in it; None for the
    installation's image."""

    shard: ShardName = "0"
    """The set of streams. `forebay run` has one for all."""

    ordering: Literal["Conversation", "None"] = "Conversation"
    status_order: Literal["Monotonic", "None"] = "Monotonic"
    """`Monotonic`: a status that comes after a higher one of its message says so."""

    max_in_flight: Annotated[int, Field(ge=1, le=32_768)] | None = None
    """Requests in flight for the endpoint in all, shared by the processors; None for as many as its
    destinations allow."""

    @field_validator("shard")
    @classmethod
    def _is_the_installation_s(cls, shard: str) -> str:
        if is_dedicated(shard):
            message = "this is what one endpoint's own shard is called: use `isolation: Dedicated`"
            raise ValueError(message)
        return shard

    @model_validator(mode="after")
    def _has_an_image_for_its_own_processors(self) -> Self:
        if self.image is not None and self.isolation == "Shared":
            message = (
                "`image` is what an endpoint's own processors run: set `isolation: Dedicated`, or "
                "remove `image`"
            )
            raise ValueError(message)
        return self


# --- the whole -----------------------------------------------------------------------------------


class WebhookEndpointSpec(ResourceRecord):
    """What is wanted."""

    provider: ProviderName
    channel: ChannelSpec | None = None
    host: Host | None = None
    """The public host; None for the installation's own."""

    throughput: Throughput = Throughput()
    authentication: AuthenticationSpec
    deduplication: DeduplicationSpec | None = None
    """For providers with ids in headers only: with the others the ids are in the bodies. None for
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


class Metadata(ResourceRecord):
    """The part of an object's metadata that Forebay reads; a cluster adds more."""

    model_config = ConfigDict(extra="ignore")

    name: Name
    namespace: Annotated[str, label(63)] = "default"


class WebhookEndpoint(ResourceRecord):
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
    "image": "an image is named by `processing.image`, with `processing.isolation: Dedicated`",
    "registration": "registering the URL at the provider is not in this version: do it by hand",
    "value": "a secret never stands in a manifest: name a Secret with `secretKeyRef`",
}
"""Fields that a reader of the documentation may expect where they are not, and what to do."""


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
