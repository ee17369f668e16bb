"""Whether an endpoint is accepted: named checks in the order in which they are reported."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from forebay.core.python_target import is_module_allowed
from forebay.core.resource import Replicas, WebhookEndpoint
from forebay_operator.builders.desired import isolation_of
from forebay_operator.models.quantities import amount
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.policies.hosts import is_allowed
from forebay_operator.settings.config import OperatorConfig

__all__ = ["CHECKS", "Input", "Refusal", "first_refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """All that a check may use."""

    manifest: WebhookEndpoint
    config: OperatorConfig
    host_holder: str | None
    """The namespace that the endpoint's host belongs to; None for the installation's own host."""

    secrets: int = 0
    """How many Secrets the spec names."""

    has_shard: bool = True
    """Whether there may be streams of its own besides those that there are."""


class Refusal(NamedTuple):
    """Why not, and what to do."""

    reason: ConditionReason
    message: str


Check = Callable[[Input], Refusal | None]


def shard_exists(about: Input) -> Refusal | None:
    """The streams that it wants are some that the installation has."""
    names = [shard.name for shard in about.config.shards]
    wanted = about.manifest.spec.processing.shard
    if wanted in names:
        return None
    return Refusal(
        ConditionReason.SHARD_UNKNOWN,
        f"there is no shard {wanted!r}, only {', '.join(names)}: make a new endpoint with one of "
        "these, or add it to the chart's `shards`",
    )


def processing_is_supported(about: Input) -> Refusal | None:
    """Streams and processors of its own are the installation's to give."""
    dedicated = about.config.dedicated
    if about.manifest.spec.processing.isolation == "Shared":
        return None
    if dedicated is not None and dedicated.max_dedicated_shards:
        return None
    return Refusal(
        ConditionReason.PROCESSING_NOT_SUPPORTED,
        "this installation gives no endpoint streams and processors of its own: set "
        "`processing.isolation: Shared`, or have `processors.dedicated.maxDedicatedShards` raised "
        "in the chart",
    )


def image_is_allowed(about: Input) -> Refusal | None:
    """What runs beside the processor's password for NATS reads all that is stored."""
    image, dedicated = about.manifest.spec.processing.image, about.config.dedicated
    if image is None or dedicated is None:
        return None
    for pattern in dedicated.images:
        if image == pattern or (pattern.endswith("*") and image.startswith(pattern[:-1])):
            return None
    return Refusal(
        ConditionReason.IMAGE_NOT_ALLOWED,
        f"this installation does not run the image {image!r}: have it added to "
        "`processors.dedicated.images` in the chart, or remove `processing.image`",
    )


def dedicated_shards_are_within(about: Input) -> Refusal | None:
    """Each takes disk on every server of NATS, and has consumers and pods."""
    dedicated = about.config.dedicated
    if about.manifest.spec.processing.isolation == "Shared" or dedicated is None:
        return None
    if about.has_shard:
        return None
    return Refusal(
        ConditionReason.DEDICATED_SHARDS_FULL,
        f"{dedicated.max_dedicated_shards} endpoints have, or had not long ago, streams of their "
        "own, and this installation allows no more: set `processing.isolation: Shared`, or have "
        "`processors.dedicated.maxDedicatedShards` raised in the chart, with room on NATS' disk",
    )


def shared_receivers_are_installed(about: Input) -> Refusal | None:
    """A place on the shared receivers needs some."""
    isolation = isolation_of(about.manifest, about.config)
    if isolation == "Dedicated" or about.config.shared_receivers is not None:
        return None
    return Refusal(
        ConditionReason.SHARED_NOT_INSTALLED,
        "this installation runs no shared receivers: set `receiver.isolation: Dedicated`, or turn "
        "them on in the chart",
    )


def client_certificates_are_told_of(about: Input) -> Refusal | None:
    """Receivers trust no header with a certificate unless the installation names it."""
    wanted = about.manifest.spec.authentication.client_certificate
    if wanted is None or about.config.receiver.client_certificates is not None:
        return None
    return Refusal(
        ConditionReason.CLIENT_CERTIFICATES_OFF,
        "this installation trusts no proxy with client certificates: set "
        "`receivers.clientCertificate.header` in the chart, or remove "
        "`authentication.clientCertificate`",
    )


def python_is_allowed(about: Input) -> Refusal | None:
    """Code of an endpoint's runs where all others' items are, so the installation names it.

    In an image that it allowed, what its endpoint names may run.
    """
    if about.manifest.spec.processing.image is not None:
        return None
    allowed = about.config.processors.python_modules
    for destination in about.manifest.spec.destinations:
        if destination.python is None:
            continue
        module = destination.python.handler.partition(":")[0]
        if not is_module_allowed(module, allowed):
            return Refusal(
                ConditionReason.PYTHON_NOT_ALLOWED,
                f"destination {destination.name!r}: the processors of this installation do not run "
                f"the module {module!r}: have it added to `processors.pythonModules` in the chart, "
                "or use `http`",
            )
    return None


def _beyond(field: str, asked: object, limit: object, name: str) -> Refusal:
    return Refusal(
        ConditionReason.LIMIT_EXCEEDED,
        f"{field} is {asked}, and this installation gives {limit} to one endpoint at most: lower "
        f"it, or have `limits.{name}` raised in the chart",
    )


def replicas_are_within(about: Input) -> Refusal | None:
    """The pods of one endpoint are bounded; what an endpoint did not ask for is cut, not refused.

    Shared receivers are the installation's, however many an endpoint names.
    """
    if isolation_of(about.manifest, about.config) == "Shared":
        return None
    limit = about.config.tenant_limits.replicas
    # The CRD fills in what is left out, so a default cannot be distinguished from one that was
    # asked for.
    asked, default = about.manifest.spec.receiver.replicas, Replicas()
    if asked.max > limit and asked.max != default.max:
        return _beyond("receiver.replicas.max", asked.max, limit, "replicas")
    if asked.min > limit and asked.min != default.min:
        return _beyond("receiver.replicas.min", asked.min, limit, "replicas")
    return None


def resources_are_within(about: Input) -> Refusal | None:
    """And so is what one of them takes of a node."""
    resources, limits = about.manifest.spec.receiver.resources, about.config.tenant_limits
    if resources is None:
        return None
    lids = {"cpu": limits.cpu, "memory": limits.memory}
    for group, asked in (("requests", resources.requests), ("limits", resources.limits)):
        for name, wanted in asked.items():
            limit = lids[name]
            if (amount(wanted) or 0) > (amount(limit) or 0):
                return _beyond(f"receiver.resources.{group}.{name}", wanted, limit, name)
    return None


def throughput_is_within(about: Input) -> Refusal | None:
    """Of the throughput follow the pods, and the webhooks that a shared receiver holds at once.

    Of that of a window too, whenever it is.
    """
    throughput = about.manifest.spec.throughput
    most = about.config.tenant_limits.messages_per_second
    asked = [
        ("throughput.messagesPerSecond", throughput.messages_per_second),
        *(
            (f"throughput.schedule[{place}].messagesPerSecond", window.messages_per_second)
            for place, window in enumerate(throughput.schedule)
        ),
    ]
    for field, rate in asked:
        if rate > most:
            return _beyond(field, rate, most, "messagesPerSecond")
    return None


def destinations_are_within(about: Input) -> Refusal | None:
    """Each item is delivered once for each destination."""
    asked, limit = len(about.manifest.spec.destinations), about.config.tenant_limits.destinations
    if asked <= limit:
        return None
    return _beyond("the number of destinations", asked, limit, "destinations")


def requests_are_within(about: Input) -> Refusal | None:
    """Processors are shared: what one endpoint has under way there takes memory and sockets."""
    spec, limit = about.manifest.spec, about.config.tenant_limits.requests_in_flight
    whole = spec.processing.max_in_flight
    if whole is not None:
        if whole <= limit:
            return None
        return _beyond("processing.maxInFlight", whole, limit, "requestsInFlight")
    asked = sum(each.max_in_flight for each in spec.destinations)
    if asked <= limit:
        return None
    return _beyond(
        "the sum of the destinations' maxInFlight, without a processing.maxInFlight,",
        asked,
        limit,
        "requestsInFlight",
    )


def secrets_are_within(about: Input) -> Refusal | None:
    """Each Secret is a request to the API server at each resync."""
    limit = about.config.tenant_limits.secrets
    if about.secrets <= limit:
        return None
    return _beyond("the number of Secrets that it names", about.secrets, limit, "secrets")


def host_is_allowed(about: Input) -> Refusal | None:
    """Whoever names a host first gets what comes to it, so not every host is for the asking."""
    host, limits = about.manifest.spec.host, about.config.tenant_limits
    if host is None or host == about.config.host:
        return None
    if is_allowed(host, about.manifest.endpoint.namespace, limits.hosts):
        return None
    return Refusal(
        ConditionReason.HOST_NOT_ALLOWED,
        f"this installation does not let endpoints name the host {host!r}: leave `host` out for "
        f"{about.config.host}, or have it added to `limits.hosts` in the chart",
    )


def host_is_free(about: Input) -> Refusal | None:
    """A host of its own belongs to one namespace: else one could take another's webhooks."""
    namespace = about.manifest.endpoint.namespace
    if about.host_holder is None or about.host_holder == namespace:
        return None
    return Refusal(
        ConditionReason.HOST_TAKEN,
        f"host {about.manifest.spec.host!r} belongs to another namespace, which named it first: "
        "choose another host, or leave it out for the installation's own",
    )


CHECKS: Final[tuple[Check, ...]] = (
    shard_exists,
    processing_is_supported,
    image_is_allowed,
    shared_receivers_are_installed,
    client_certificates_are_told_of,
    python_is_allowed,
    replicas_are_within,
    resources_are_within,
    throughput_is_within,
    destinations_are_within,
    requests_are_within,
    secrets_are_within,
    host_is_allowed,
    host_is_free,
    dedicated_shards_are_within,
)
"""In this order; the first refusal is reported."""


def first_refusal(about: Input) -> Refusal | None:
    """Return why an endpoint is not accepted; None where it is."""
    return next((refusal for check in CHECKS if (refusal := check(about)) is not None), None)
