"""How webhooks get to receivers: an HTTPRoute or an Ingress, for one endpoint or for all shared."""

from typing import Final

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.models.networking_v1 import (
    HTTPIngressPath,
    HTTPIngressRuleValue,
    IngressBackend,
    IngressRule,
    IngressServiceBackend,
    IngressSpec,
    IngressTLS,
    ServiceBackendPort,
)
from lightkube.resources.networking_v1 import Ingress

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.dedicated_receivers import WEBHOOK_PORT
from forebay_operator.builders.names import (
    endpoint_meta,
    endpoint_object_name,
    host_object_name,
    own_labels,
)
from forebay_operator.models.apis.gateway import (
    HTTPBackendRef,
    HTTPPathMatch,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPRouteSpec,
    HTTPRouteTimeouts,
    ParentReference,
)
from forebay_operator.models.kinds import ServedKinds
from forebay_operator.models.names import LABEL_COMPONENT
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.receivers import SharedReceivers

__all__ = ["SHARED_ROUTE_COMPONENT", "endpoint_route", "endpoint_url", "path_of", "shared_route"]

ROOT: Final = "/v1/webhooks"
"""What all paths begin with; the rest is `<namespace>/<name>`."""

SHARED_ROUTE_COMPONENT: Final = "shared-route"


def path_of(endpoint: EndpointName) -> str:
    """Return the path that the provider posts to."""
    return f"{ROOT}/{endpoint.namespace}/{endpoint.name}"


def endpoint_url(endpoint: EndpointName, host: str, config: OperatorConfig) -> str:
    """Return what is registered at the provider."""
    return f"{config.scheme}://{host}{path_of(endpoint)}"


def endpoint_route(
    endpoint: EndpointName, host: str, config: OperatorConfig, *, served: ServedKinds
) -> Ingress | HTTPRoute | None:
    """Return the route of a Dedicated endpoint: exactly its path, to its own Service."""
    metadata = endpoint_meta(endpoint, config)
    name = endpoint_object_name(endpoint, config)
    match = HTTPPathMatch(type="Exact", value=path_of(endpoint))
    return _route(metadata, host, match, (name, WEBHOOK_PORT), config, served=served)


def shared_route(
    host: str, shared: SharedReceivers, config: OperatorConfig, *, served: ServedKinds
) -> Ingress | HTTPRoute | None:
    """Return the route of all Shared endpoints of a host; an endpoint's exact path goes first."""
    metadata = ObjectMeta(
        name=host_object_name("shared", host, config),
        namespace=config.namespace,
        labels=own_labels(config) | {LABEL_COMPONENT: SHARED_ROUTE_COMPONENT},
    )
    match = HTTPPathMatch(type="PathPrefix", value=ROOT)
    backend = (shared.service_name, shared.service_port)
    return _route(metadata, host, match, backend, config, served=served)


def _route(  # each one thing, and all of them needed
    metadata: ObjectMeta,
    host: str,
    match: HTTPPathMatch,
    backend: tuple[str, int],
    config: OperatorConfig,
    *,
    served: ServedKinds,
) -> Ingress | HTTPRoute | None:
    match config.route.kind:
        case "None":
            return None
        case "HTTPRoute":
            return _http_route(metadata, host, match, backend, config)
        case "Ingress":
            return _ingress(metadata, host, match, backend, config)
        case "Auto":
            if HTTPRoute in served and config.route.gateway.parent_refs:
                return _http_route(metadata, host, match, backend, config)
            return _ingress(metadata, host, match, backend, config)


def _http_route(
    metadata: ObjectMeta,
    host: str,
    match: HTTPPathMatch,
    backend: tuple[str, int],
    config: OperatorConfig,
) -> HTTPRoute:
    gateway = config.route.gateway
    seconds = f"{gateway.request_timeout_seconds}s"
    return HTTPRoute(
        metadata=metadata,
        spec=HTTPRouteSpec(
            parentRefs=[
                ParentReference(
                    name=parent.name, namespace=parent.namespace, sectionName=parent.section_name
                )
                for parent in gateway.parent_refs
            ],
            hostnames=[host],
            rules=[
                HTTPRouteRule(
                    matches=[HTTPRouteMatch(path=match)],
                    backendRefs=[HTTPBackendRef(name=backend[0], port=backend[1])],
                    timeouts=HTTPRouteTimeouts(request=seconds, backendRequest=seconds),
                )
            ],
        ),
    )


def _ingress(
    metadata: ObjectMeta,
    host: str,
    match: HTTPPathMatch,
    backend: tuple[str, int],
    config: OperatorConfig,
) -> Ingress:
    settings = config.route.ingress
    metadata.annotations = dict(settings.annotations) or None
    service = IngressServiceBackend(name=backend[0], port=ServiceBackendPort(number=backend[1]))
    path = HTTPIngressPath(
        path=match.value,
        pathType="Exact" if match.type == "Exact" else "Prefix",
        backend=IngressBackend(service=service),
    )
    tls = None
    if settings.tls:
        secret = host_object_name("tls", host, config)
        if host == config.host and settings.tls_secret_name is not None:
            secret = settings.tls_secret_name
        tls = [IngressTLS(hosts=[host], secretName=secret)]
    return Ingress(
        metadata=metadata,
        spec=IngressSpec(
            ingressClassName=settings.class_name,
            rules=[IngressRule(host=host, http=HTTPIngressRuleValue(paths=[path]))],
            tls=tls,
        ),
    )
