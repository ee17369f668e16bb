"""What the operator knows of the cluster: filled by lists at the start, kept by watches.

Every object has a resource version; an older one never replaces a newer one, so that answers to our
own writes and events of watches may come in any order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay_operator.metrics import Condition
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.kinds import Managed, PruneRank, kind_named, kind_of
from forebay_operator.models.names import (
    LABEL_COMPONENT,
    LABEL_ENDPOINT,
    LABEL_NAMESPACE,
    LABEL_OWNER,
)

__all__ = ["ClusterCache", "ObjectKey", "PodFacts", "key_of", "owner_of", "prune_order"]

Document = Mapping[str, Any]

SLICE: Final = 500
"""Endpoints whose conditions are counted in one go: about a millisecond."""


class ObjectKey(NamedTuple):
    """Which object of ours."""

    kind: str
    name: str


def key_of(desired: Managed) -> ObjectKey:
    """Return the key of an object that is wanted."""
    name = desired.metadata.name if desired.metadata else ""
    return ObjectKey(kind_of(type(desired)), str(name))


def prune_order(key: ObjectKey) -> tuple[PruneRank, ObjectKey]:
    """Return what deletions are sorted by."""
    return kind_named(key.kind).prune_rank, key


class PodFacts(NamedTuple):
    """What matters of a pod."""

    name: str
    address: str
    is_ready: bool
    is_leaving: bool
    annotations: Mapping[str, str]


def owner_of(document: Document) -> EndpointName | None:
    """Return the endpoint that an object was made for; None for one of no endpoint alone."""
    labels = document["metadata"].get("labels") or {}
    namespace, name = labels.get(LABEL_NAMESPACE), labels.get(LABEL_ENDPOINT)
    return EndpointName(namespace, name) if namespace and name else None


def _version(document: Document) -> int:
    return int(document["metadata"].get("resourceVersion") or 0)


class ClusterCache:
    """Endpoints, objects of ours and pods."""

    def __init__(self, name: str) -> None:
        """Begin empty; `name` is the installation's."""
        self._name = name
        self.endpoints: dict[EndpointName, ClusterEndpoint] = {}
        self._objects: dict[ObjectKey, Document] = {}
        self._of_endpoint: dict[EndpointName, set[ObjectKey]] = {}
        self._pods: dict[str, Document] = {}
        self._gone: dict[tuple[str, str], int] = {}
        self._users: dict[tuple[str, str], set[EndpointName]] = {}

    # --- endpoints

    def put_endpoint(self, document: Document) -> ClusterEndpoint | None:
        """Take a state of an endpoint; returns what it replaces."""
        new = ClusterEndpoint.of(document)
        old = self.endpoints.get(new.endpoint)
        if old is not None and _version(old.document) > _version(document):
            return old
        if self._is_gone("WebhookEndpoint", str(new.endpoint), document):
            return old
        self._forget_users(old)
        self.endpoints[new.endpoint] = new
        for secret in new.secrets:
            self._users.setdefault((new.endpoint.namespace, secret), set()).add(new.endpoint)
        return old

    def drop_endpoint(self, document: Document) -> None:
        """Take the deletion of an endpoint."""
        gone = ClusterEndpoint.of(document)
        self._gone["WebhookEndpoint", str(gone.endpoint)] = _version(document)
        known = self.endpoints.get(gone.endpoint)
        if known is not None and known.uid == gone.uid:
            self._forget_users(known)
            del self.endpoints[gone.endpoint]

    def forget(self, endpoint: ClusterEndpoint) -> None:
        """Take it that our own write ended an endpoint."""
        known = self.endpoints.get(endpoint.endpoint)
        if known is not None and known.uid == endpoint.uid:
            self._forget_users(known)
            del self.endpoints[endpoint.endpoint]

    def users_of(self, namespace: str, secret: str) -> frozenset[EndpointName]:
        """Return the endpoints that speak of a Secret."""
        return frozenset(self._users.get((namespace, secret), ()))

    def with_host(self, hosts: Iterable[str | None]) -> list[EndpointName]:
        """Return the endpoints that name one of these hosts."""
        wanted = {host for host in hosts if host is not None}
        if not wanted:
            return []
        return [name for name, each in self.endpoints.items() if each.host in wanted]

    def conditions(self) -> Iterator[Condition | None]:
        """Return the conditions of all endpoints; None after every `SLICE` of endpoints."""
        for number, endpoint in enumerate(list(self.endpoints.values()), start=1):
            conditions: Iterable[Mapping[str, str]] = endpoint.status.get("conditions") or ()
            for each in conditions:
                yield each["type"], each["status"]
            if number % SLICE == 0:
                yield None

    def _forget_users(self, old: ClusterEndpoint | None) -> None:
        if old is None:
            return
        for secret in old.secrets:
            users = self._users.get((old.endpoint.namespace, secret), set())
            users.discard(old.endpoint)
            if not users:
                self._users.pop((old.endpoint.namespace, secret), None)

    # --- objects of ours

    def put_object(self, document: Document) -> bool:
        """Take a state of an object; says whether it is news."""
        if document["metadata"].get("labels", {}).get(LABEL_OWNER) != self._name:
            return False
        key = ObjectKey(document["kind"], document["metadata"]["name"])
        known = self._objects.get(key)
        if known is not None and _version(known) >= _version(document):
            return False
        if self._is_gone(*key, document):
            return False
        self._objects[key] = document
        owner = owner_of(document)
        if owner is not None:
            self._of_endpoint.setdefault(owner, set()).add(key)
        return True

    def drop_object(self, document: Document) -> bool:
        """Take the deletion of an object; says whether it is news."""
        key = ObjectKey(document["kind"], document["metadata"]["name"])
        self._gone[key] = _version(document)
        known = self._objects.get(key)
        if known is None or known["metadata"]["uid"] != document["metadata"]["uid"]:
            return False
        self.forget_object(key)
        return True

    def forget_object(self, key: ObjectKey) -> None:
        """Take it that we deleted an object."""
        known = self._objects.pop(key, None)
        owner = None if known is None else owner_of(known)
        if owner is not None:
            keys = self._of_endpoint.get(owner, set())
            keys.discard(key)
            if not keys:
                self._of_endpoint.pop(owner, None)

    def replace_objects(self, kind: str, documents: Iterable[Document]) -> None:
        """Take what there is of a kind, and forget what was known of it."""
        for key in [key for key in self._objects if key.kind == kind]:
            self.forget_object(key)
        for document in documents:
            self.put_object(document)

    def object(self, key: ObjectKey) -> Document | None:
        """Return an object as it is; None where it is not there."""
        return self._objects.get(key)

    def objects(self, wanted: Callable[[ObjectKey, Document], bool]) -> list[ObjectKey]:
        """Return the objects that fit."""
        return [key for key, document in self._objects.items() if wanted(key, document)]

    def objects_of(
        self, endpoint: EndpointName, component: str | None = None
    ) -> frozenset[ObjectKey]:
        """Return the objects that were made for an endpoint: all, or those of one component."""
        found = self._of_endpoint.get(endpoint, ())
        return frozenset(
            key
            for key in found
            if component is None
            or self._objects[key]["metadata"]["labels"].get(LABEL_COMPONENT) == component
        )

    def owners(self) -> frozenset[EndpointName]:
        """Return the endpoints that objects were made for, be they there or not."""
        return frozenset(self._of_endpoint)

    def _is_gone(self, kind: str, name: str, document: Document) -> bool:
        """Say whether this is an older state of something whose deletion was seen."""
        gone = self._gone.get((kind, name))
        if gone is None:
            return False
        if _version(document) <= gone:
            return True
        del self._gone[kind, name]
        return False

    # --- pods

    def put_pod(self, document: Document) -> bool:
        """Take a state of a pod; says whether it is news."""
        name = document["metadata"]["name"]
        known = self._pods.get(name)
        if known is not None and _version(known) >= _version(document):
            return False
        self._pods[name] = document
        return known is None or _facts(known) != _facts(document)

    def drop_pod(self, document: Document) -> None:
        """Take the end of a pod."""
        self._pods.pop(document["metadata"]["name"], None)

    def pods(self, selector: Mapping[str, str]) -> list[PodFacts]:
        """Return the pods with all these labels."""
        wanted = selector.items()
        return [
            _facts(document)
            for document in self._pods.values()
            if wanted <= (document["metadata"].get("labels") or {}).items()
        ]


def _facts(document: Document) -> PodFacts:
    metadata, status = document["metadata"], document.get("status") or {}
    return PodFacts(
        name=metadata["name"],
        address=status.get("podIP") or "",
        is_ready=any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in status.get("conditions") or ()
        ),
        is_leaving=bool(metadata.get("deletionTimestamp")),
        annotations=dict(metadata.get("annotations") or {}),
    )
