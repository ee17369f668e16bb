"""Events of the watches, turned into keys for the queue: cheap, and never more than that."""

from collections.abc import Mapping
from typing import Any

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.kinds import kind_named
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey, owner_of
from forebay_operator.services.reconcile_queue import SHARED, Enqueuer, QueueKey

__all__ = ["WatchEventHandler"]

Document = Mapping[str, Any]


class WatchEventHandler:
    """Handles the events of all watches, on the operator's own loop."""

    def __init__(self, cache: ClusterCache, queue: Enqueuer) -> None:
        self._cache = cache
        self._queue = queue

    def endpoint(self, kind: str | None, document: Document) -> None:
        """Take an event of a WebhookEndpoint; `kind` is None for one of the first listing."""
        live = kind is not None
        if kind == "DELETED":
            self._cache.drop_endpoint(document)
            name = _name_of(document)
            self._queue.enqueue(name)
            self._enqueue_host(document.get("spec"))
            return
        old = self._cache.put_endpoint(document)
        name = _name_of(document)
        new = self._cache.endpoints.get(name)
        if new is None or new is old:
            return
        if old is not None and old.document == new.document:
            return
        is_news = old is None or (old.uid, old.generation, old.deleted, old.has_finalizer) != (
            new.uid,
            new.generation,
            new.deleted,
            new.has_finalizer,
        )
        self._queue.enqueue(name, resync=is_news, live=live)
        if old is None or old.host != new.host:
            for each in self._cache.with_host((old.host if old else None, new.host)):
                if each != name:
                    self._queue.enqueue(each, live=live)

    def secret(self, document: Document) -> None:
        """Take an event of any Secret of any namespace; its content is not kept."""
        metadata = document["metadata"]
        for name in self._cache.users_of(metadata["namespace"], metadata["name"]):
            self._queue.enqueue(name)

    def managed(self, kind: str | None, document: Document) -> None:
        """Take an event of an object of ours."""
        owner = owner_of(document)
        key: QueueKey = owner if owner is not None else SHARED
        if kind == "DELETED":
            if self._cache.drop_object(document):
                self._queue.enqueue(key)
            return
        before = self._cache.object(ObjectKey(document["kind"], document["metadata"]["name"]))
        if self._cache.put_object(document):
            self._queue.enqueue(key, resync=_is_changed(before, document), live=kind is not None)

    def pod(self, kind: str | None, document: Document) -> None:
        """Take an event of a pod in Forebay's namespace."""
        if kind == "DELETED":
            self._cache.drop_pod(document)
        elif not self._cache.put_pod(document):
            return
        owner = owner_of(document)
        if owner is not None:
            self._queue.enqueue(owner, resync=False)
        # Of a shared pool the next pass, seconds away, is soon enough for a thousand endpoints.

    def _enqueue_host(self, spec: object) -> None:
        host = spec.get("host") if isinstance(spec, Mapping) else None
        for each in self._cache.with_host((host if isinstance(host, str) else None,)):
            self._queue.enqueue(each)


def _name_of(document: Document) -> EndpointName:
    return EndpointName(document["metadata"]["namespace"], document["metadata"]["name"])


def _is_changed(before: Document | None, after: Document) -> bool:
    """Say whether more than the status of an object changed."""
    if before is None:
        return True
    old, new = before["metadata"], after["metadata"]
    if "generation" not in new:
        return True
    if kind_named(after["kind"]).is_status_watched and before.get("status") != after.get("status"):
        return True
    parts = ("generation", "labels", "annotations", "deletionTimestamp")
    return any(old.get(part) != new.get(part) for part in parts)
