"""From an endpoint as it stands in the cluster to all that is wanted of it, or why not."""

from collections.abc import Iterable
from dataclasses import dataclass

from forebay.core.compile import compile_endpoint, compile_route
from forebay.core.errors import ConfigurationError
from forebay.core.problems import InvalidEndpoint, Problem
from forebay.core.resource import WebhookEndpoint, parse_endpoint
from forebay.core.tables import ProcessorEndpoint, ReceiverRoute
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionType, Reason
from forebay_operator.policies.checks import Input, first_refusal
from forebay_operator.policies.hosts import holder_of
from forebay_operator.services.secrets import read_secrets
from forebay_operator.settings import OperatorConfig

__all__ = ["Plan", "Rejected", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An accepted endpoint with its secrets resolved."""

    manifest: WebhookEndpoint
    route: ReceiverRoute
    processing: ProcessorEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An endpoint that cannot be served as it is."""

    condition: ConditionType
    """The condition that is false: Accepted or SecretsReady."""

    reason: Reason
    message: str


async def judge(
    endpoint: ClusterEndpoint,
    others: Iterable[ClusterEndpoint],
    cluster: Cluster,
    config: OperatorConfig,
) -> Plan | Rejected:
    """Parse, check and resolve.

    Args:
        endpoint: The one in question.
        others: All endpoints, itself among them: they may hold its host.
        cluster: Where Secrets are read.
        config: The settings.
    """
    try:
        manifest = parse_endpoint(endpoint.document)
    except InvalidEndpoint as error:
        return Rejected(
            condition=ConditionType.ACCEPTED,
            reason=Reason.INVALID_SPEC,
            message=_told(error.problems),
        )
    host = manifest.spec.host
    own = host is not None and host != config.host
    refusal = first_refusal(
        Input(
            manifest=manifest,
            config=config,
            host_holder=holder_of(host, others) if own and host is not None else None,
        )
    )
    if refusal is not None:
        return Rejected(
            condition=ConditionType.ACCEPTED, reason=refusal.reason, message=refusal.message
        )
    secrets = await read_secrets(cluster, endpoint)
    problems: list[Problem] = []
    route: ReceiverRoute | None = None
    processing: ProcessorEndpoint | None = None
    try:
        route = compile_route(manifest, secrets)
    except InvalidEndpoint as error:
        problems += error.problems
    except ConfigurationError as error:
        problems.append(Problem("", ("spec", "authentication"), str(error)))
    try:
        processing = compile_endpoint(manifest, secrets)
    except InvalidEndpoint as error:
        problems += error.problems
    if route is None or processing is None:
        missing = secrets.is_missing
        return Rejected(
            condition=ConditionType.SECRETS_READY,
            reason=Reason.SECRET_MISSING if missing else Reason.SECRET_UNUSABLE,
            message=_told(problems),
        )
    return Plan(manifest=manifest, route=route, processing=processing)


def _told(problems: Iterable[Problem]) -> str:
    """Return all problems in one text, without the endpoint's name, which stands above it."""
    return "; ".join(f"{each.field}: {each.reason}" for each in problems)
