"""What has to be there for one endpoint: a pure function, the heart of the operator."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from forebay.core.resource import WebhookEndpoint
from forebay.core.tables import ReceiverRoute
from forebay_operator.builders import dedicated_receivers
from forebay_operator.builders.dedicated_processors import OwnProcessing, own_processing
from forebay_operator.builders.names import endpoint_meta, endpoint_selector
from forebay_operator.builders.network_policies import network_policy
from forebay_operator.builders.object_hash import with_object_hash
from forebay_operator.builders.pod_parts import deployment, disruption_budget, service_account
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

    receivers: tuple[Managed, ...]
    """Of its receivers, with their route."""

    generation: str | None
    """Of its own receivers' table; None where its route stands in a shared table."""

    processors: tuple[Managed, ...] = ()
    """Of its own processors: they are applied before anything tells receivers of them."""

    processors_generation: str | None = None
    """Of their table; None where it has no streams of its own."""

    @property
    def objects(self) -> tuple[Managed, ...]:
        """All of them."""
        return (*self.processors, *self.receivers)


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
    own: OwnProcessing | None = None,
) -> Desired:
    """Return the objects of one endpoint.

    Args:
        manifest: What is wanted.
        route: What its receivers are to know: the manifest with its secrets resolved.
        config: The settings.
        served: The kinds that the cluster serves.
        own: What is wanted of streams of its own; None where it has none.
    """
    receivers: list[Managed] = []
    processors: list[Managed] = []
    generation: str | None = None
    processors_generation: str | None = None
    if isolation_of(manifest, config) == "Dedicated":
        receivers, generation = _receivers(manifest, route, config, served)
    if own is not None:
        processors, processors_generation = own_processing(manifest, own, config)
    return Desired(
        receivers=tuple(with_object_hash(each) for each in receivers),
        generation=generation,
        processors=tuple(with_object_hash(each) for each in processors),
        processors_generation=processors_generation,
    )


def _receivers(
    manifest: WebhookEndpoint, route: ReceiverRoute, config: OperatorConfig, served: ServedKinds
) -> tuple[list[Managed], str]:
    table, generation = dedicated_table(route, config)
    metadata = partial(endpoint_meta, manifest.endpoint, config)
    selector = endpoint_selector(manifest.endpoint, config)
    container = dedicated_receivers.container(manifest, config)
    objects: list[Managed] = [
        service_account(metadata()),
        # Before the pods that read it, and the pods before the route that leads to them.
        table,
        dedicated_receivers.service(manifest, config),
        deployment(metadata(), selector, config.receiver, container),
        disruption_budget(metadata(), selector),
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
    return objects, generation
