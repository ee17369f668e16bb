"""HTTPRoute of the Gateway API, as far as we fill it: typed like lightkube's own models.

lightkube has the kinds of Kubernetes itself only. Field names are those of the API.
"""

from typing import Any

from lightkube.core import resource
from lightkube.core.dictmixin import DictMixin
from lightkube.models.meta_v1 import ObjectMeta

__all__ = [
    "HTTPBackendRef",
    "HTTPPathMatch",
    "HTTPRoute",
    "HTTPRouteMatch",
    "HTTPRouteRule",
    "HTTPRouteSpec",
    "HTTPRouteTimeouts",
    "ParentReference",
]


class ParentReference(DictMixin):
    """The Gateway that takes a route."""

    name: str
    namespace: str | None = None
    sectionName: str | None = None


class HTTPPathMatch(DictMixin):
    """Which paths."""

    type: str
    value: str


class HTTPRouteMatch(DictMixin):
    """Which requests."""

    path: HTTPPathMatch


class HTTPBackendRef(DictMixin):
    """The Service that answers."""

    name: str
    port: int


class HTTPRouteTimeouts(DictMixin):
    """How long the Gateway waits, such as `4s`."""

    request: str | None = None
    backendRequest: str | None = None


class HTTPRouteRule(DictMixin):
    """Requests and who answers them."""

    matches: list[HTTPRouteMatch]
    backendRefs: list[HTTPBackendRef]
    timeouts: HTTPRouteTimeouts | None = None


class HTTPRouteSpec(DictMixin):
    """A route."""

    parentRefs: list[ParentReference]
    hostnames: list[str]
    rules: list[HTTPRouteRule]


class _HTTPRouteModel(DictMixin):
    apiVersion: str | None = None
    kind: str | None = None
    metadata: ObjectMeta | None = None
    spec: HTTPRouteSpec | None = None
    status: dict[str, Any] | None = None


class HTTPRoute(resource.NamespacedResourceG, _HTTPRouteModel):
    """One route for one host."""

    _api_info = resource.ApiInfo(
        resource=resource.ResourceDef("gateway.networking.k8s.io", "v1", "HTTPRoute"),
        plural="httproutes",
        verbs=["delete", "get", "global_list", "list", "patch", "post", "put", "watch"],
    )
