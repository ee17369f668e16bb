"""What has to be there for one endpoint: a pure function, the heart of the operator."""

from dataclasses import dataclass
from typing import Literal

from forebay.core.resource import WebhookEndpoint
from forebay.core.tables import ReceiverRoute
from forebay_operator.builders import dedicated_receivers
from forebay_operator.builders.network_policies import network_policy
from forebay_operator.builders.object_hash import with_object_hash
from forebay_operator.builders.routes import endpoint_route
from forebay_operator.builders.scaling import endpoint_scaler, uses_keda
from forebay_operator.builders.tables import dedicated_table
from forebay_operator.models.kinds import Managed, ServedKinds
from forebay_operator.settings.config import OperatorConfig

__all__ = ["Desired", "Isolation", "desired_state", "host_of", "isolation_of"]

Isolation = Literal["Dedicated", "Shared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """The objects of one endpoint, in the order in which they are applied."""

    objects: tuple[Managed, ...]
    generation: str | None
    """Of the table of its own; None where its route stands in a shared table."""


def isolation_of(manifest: WebhookEndpoint, config: OperatorConfig) -> Isolation:
    """Return `Dedicated` or `Shared`: what the manifest says, else the installation."""
    return manifest.spec.receiver.isolation or config.isolation


def host_of(manifest: WebhookEndpoint, config: OperatorConfig) -> str:
    """Return the public host of an endpoint."""
    return manifest.spec.host or config.host


def desired_state(
    manifest: WebhookEndpoint,
    route: ReceiverRoute,
    config: OperatorConfig,
    *,
    served: ServedKinds,
) -> Desired:
    """Return the objects of one endpoint.

    Args:
        manifest: What is wanted.
        route: What its receivers are to know: the manifest with its secrets resolved.
        config: The settings.
        served: The kinds that the cluster serves.
    """
    if isolation_of(manifest, config) == "Shared":
        return Desired(objects=(), generation=None)
    table, generation = dedicated_table(route, config)
    objects: list[Managed] = [
        dedicated_receivers.service_account(manifest, config),
        # Before the pods that read it, and the pods before the route that leads to them.
        table,
        dedicated_receivers.service(manifest, config),
        dedicated_receivers.deployment(manifest, config),
        dedicated_receivers.disruption_budget(manifest, config),
    ]
    if config.receiver.network_policy:
        objects.append(network_policy(manifest, config))
    way = endpoint_route(manifest.endpoint, host_of(manifest, config), config, served=served)
    if way is not None:
        objects.append(way)
    # Last: a scaler that is refused keeps no webhook from being received.
    if uses_keda(config, served):
        objects.append(dedicated_receivers.admin_service(manifest, config))
    objects.append(endpoint_scaler(manifest, config, served=served))
    return Desired(objects=tuple(with_object_hash(each) for each in objects), generation=generation)
