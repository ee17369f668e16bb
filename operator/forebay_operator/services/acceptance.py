"""Whether an endpoint can be served: it is accepted with its secrets resolved, or rejected."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from forebay.core.compile import compile_endpoint, compile_route
from forebay.core.errors import ConfigurationError
from forebay.core.resource import WebhookEndpoint, parse_endpoint
from forebay.core.schedule import LoadNow, load_at
from forebay.core.subjects import dedicated_shard
from forebay.core.tables import ProcessorEndpoint, ReceiverRoute, entry_bytes
from forebay.core.validation_errors import InvalidEndpoint, Problem
from forebay.runtime.certificate_expiry import earliest, first_end
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.policies.checks import Input, first_refusal
from forebay_operator.policies.hosts import holder_of, is_allowed
from forebay_operator.services.secrets import EndpointSecrets, in_kib, read_secrets
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.settings.config import OperatorConfig

__all__ = ["AcceptedEndpoint", "RejectedEndpoint", "accept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedEndpoint:
    """An accepted endpoint with its secrets resolved."""

    manifest: WebhookEndpoint
    """With the throughput that counts now in the place of the declared one and its schedule."""

    load: LoadNow
    """What of the schedule that is."""

    route: ReceiverRoute
    processing: ProcessorEndpoint
    warnings: tuple[str, ...] = ()
    """What of its Secrets is used though it looks like a mistake."""

    secret_changed: float | None = None
    """When the Secret that was not written for longest was, in seconds since 1970."""

    certificate_end: float | None = None
    """When the first authority that it trusts ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedEndpoint:
    """An endpoint that cannot be served as it is."""

    condition: ConditionType
    """The condition that is false: Accepted or SecretsReady."""

    reason: ConditionReason
    message: str


async def accept(
    endpoint: ClusterEndpoint,
    others: Iterable[ClusterEndpoint],
    cluster: Cluster,
    config: OperatorConfig,
    now: datetime,
    shards: Shards,
) -> AcceptedEndpoint | RejectedEndpoint:
    """Parse, check and resolve.

    Args:
        endpoint: The one in question.
        others: All endpoints, itself among them: they may hold its host.
        cluster: Where Secrets are read.
        config: The settings.
        now: By which the schedule counts; with a time zone.
        shards: Where an endpoint that wants streams of its own is counted; whoever rejects it lets
            go of that.
    """
    try:
        manifest = parse_endpoint(endpoint.document)
    except InvalidEndpoint as error:
        return RejectedEndpoint(
            condition=ConditionType.ACCEPTED,
            reason=ConditionReason.INVALID_SPEC,
            message=_joined(error.problems),
        )
    wants_own = manifest.spec.processing.isolation == "Dedicated"
    host = manifest.spec.host
    own = host is not None and host != config.host
    refusal = first_refusal(
        Input(
            manifest=manifest,
            config=config,
            host_holder=_holder(host, others, config) if own and host is not None else None,
            secrets=len(endpoint.secrets),
            # Counted here, at once: two that are judged together never take the last one both.
            has_shard=not wants_own or shards.require(dedicated_shard(manifest.endpoint)),
        )
    )
    if refusal is not None:
        return RejectedEndpoint(
            condition=ConditionType.ACCEPTED, reason=refusal.reason, message=refusal.message
        )
    secrets = await read_secrets(cluster, endpoint, config.tenant_limits.table_bytes)
    return _resolved(manifest, load_at(manifest.spec.throughput, now), secrets, config)


def _holder(host: str, endpoints: Iterable[ClusterEndpoint], config: OperatorConfig) -> str | None:
    """Return whose a host is; who may not name it keeps nobody from having it."""
    patterns = config.tenant_limits.hosts
    return holder_of(
        host,
        (each for each in endpoints if is_allowed(host, each.endpoint.namespace, patterns)),
    )


def _resolved(
    declared: WebhookEndpoint, load: LoadNow, secrets: EndpointSecrets, config: OperatorConfig
) -> AcceptedEndpoint | RejectedEndpoint:
    spec = declared.spec.model_copy(update={"throughput": load.throughput})
    manifest = declared.model_copy(update={"spec": spec})
    problems: list[Problem] = []
    warnings: list[Problem] = []
    route: ReceiverRoute | None = None
    processing: ProcessorEndpoint | None = None
    try:
        route = compile_route(manifest, secrets, warnings=warnings)
    except InvalidEndpoint as error:
        problems += error.problems
    except ConfigurationError as error:
        problems.append(Problem("", ("spec", "authentication"), str(error)))
    try:
        processing = compile_endpoint(manifest, secrets, warnings=warnings)
    except InvalidEndpoint as error:
        problems += error.problems
    if route is None or processing is None:
        return RejectedEndpoint(
            condition=ConditionType.SECRETS_READY,
            reason=_reason_of(secrets),
            message=_joined(problems),
        )
    limit = config.tenant_limits.table_bytes
    for whose, entry in (("receivers", route), ("processors", processing)):
        size = entry_bytes(entry)
        if size > limit:
            return RejectedEndpoint(
                condition=ConditionType.SECRETS_READY,
                reason=ConditionReason.LIMIT_EXCEEDED,
                message=(
                    f"the endpoint takes {in_kib(size)} in the {whose}' table, and {in_kib(limit)} "
                    "are for one: each use of a secret or certificate counts, so name fewer or "
                    "shorter ones, or have `limits.tableKiB` raised in the chart"
                ),
            )
    return AcceptedEndpoint(
        manifest=manifest,
        load=load,
        route=route,
        processing=processing,
        warnings=tuple(f"{each.field}: {each.reason}" for each in warnings),
        secret_changed=None if secrets.changed == math.inf else secrets.changed,
        certificate_end=_certificate_end(processing),
    )


def _certificate_end(processing: ProcessorEndpoint) -> float | None:
    authorities = {
        each.tls.ca for each in processing.destinations if each.tls is not None and each.tls.ca
    }
    return earliest(map(first_end, authorities))


def _reason_of(secrets: EndpointSecrets) -> ConditionReason:
    if secrets.is_missing:
        return ConditionReason.SECRET_MISSING
    return (
        ConditionReason.LIMIT_EXCEEDED
        if secrets.is_beyond_limit
        else ConditionReason.SECRET_UNUSABLE
    )


def _joined(problems: Iterable[Problem]) -> str:
    """Return all problems in one text, without the endpoint's name, which stands above it."""
    return "; ".join(f"{each.field}: {each.reason}" for each in problems)
