"""Whether an endpoint is accepted: named checks in the order in which they are told."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from forebay.core.resource import WebhookEndpoint
from forebay_operator.models.reasons import Reason
from forebay_operator.settings import OperatorConfig

__all__ = ["CHECKS", "Input", "Refusal", "first_refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """All that a check may look at."""

    manifest: WebhookEndpoint
    config: OperatorConfig
    host_holder: str | None
    """The namespace that the endpoint's host belongs to; None for the installation's own host."""


class Refusal(NamedTuple):
    """Why not, and what to do."""

    reason: Reason
    message: str


Check = Callable[[Input], Refusal | None]


def shard_exists(about: Input) -> Refusal | None:
    """The streams that it wants are some that the installation has."""
    names = [shard.name for shard in about.config.shards]
    wanted = about.manifest.spec.processing.shard
    if wanted in names:
        return None
    return Refusal(
        Reason.SHARD_UNKNOWN,
        f"there is no shard {wanted!r}, only {', '.join(names)}: make a new endpoint with one of "
        "these, or add it to the chart's `shards`",
    )


def processing_is_supported(about: Input) -> Refusal | None:
    """Processors of its own are for a later version."""
    if about.manifest.spec.processing.isolation == "Shared":
        return None
    return Refusal(
        Reason.PROCESSING_NOT_SUPPORTED,
        "processors of an endpoint's own are not in this version: make a new endpoint with "
        "`processing.isolation: Shared`",
    )


def shared_receivers_are_installed(about: Input) -> Refusal | None:
    """A place on the shared receivers needs some."""
    isolation = about.manifest.spec.receiver.isolation or about.config.isolation
    if isolation == "Dedicated" or about.config.shared_receivers is not None:
        return None
    return Refusal(
        Reason.SHARED_NOT_INSTALLED,
        "this installation runs no shared receivers: set `receiver.isolation: Dedicated`, or turn "
        "them on in the chart",
    )


def client_certificates_are_told_of(about: Input) -> Refusal | None:
    """Receivers believe no header that tells of a certificate unless the installation names it."""
    wanted = about.manifest.spec.authentication.client_certificate
    if wanted is None or about.config.receiver.client_certificates is not None:
        return None
    return Refusal(
        Reason.CLIENT_CERTIFICATES_OFF,
        "this installation believes no proxy about client certificates: set "
        "`receivers.clientCertificate.header` in the chart, or remove "
        "`authentication.clientCertificate`",
    )


def host_is_free(about: Input) -> Refusal | None:
    """A host of its own belongs to one namespace: else one could take another's webhooks."""
    namespace = about.manifest.endpoint.namespace
    if about.host_holder is None or about.host_holder == namespace:
        return None
    return Refusal(
        Reason.HOST_TAKEN,
        f"host {about.manifest.spec.host!r} belongs to another namespace, which named it first: "
        "choose another host, or leave it out for the installation's own",
    )


CHECKS: Final[tuple[Check, ...]] = (
    shard_exists,
    processing_is_supported,
    shared_receivers_are_installed,
    client_certificates_are_told_of,
    host_is_free,
)
"""In this order; the first refusal is told."""


def first_refusal(about: Input) -> Refusal | None:
    """Return why an endpoint is not accepted; None where it is."""
    return next((refusal for check in CHECKS if (refusal := check(about)) is not None), None)
