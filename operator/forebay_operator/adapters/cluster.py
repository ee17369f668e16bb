"""The API server: reads, server-side applies and deletes; the only module with a client in it."""

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import httpx2
import msgspec
from lightkube import ApiError, AsyncClient
from lightkube.core.resource import NamespacedResourceG
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Event, Pod, Secret
from lightkube.types import PatchType

from forebay.core.resource import API_VERSION, KIND
from forebay_operator.adapters.discovery import Discovery, no_answer
from forebay_operator.errors import ApiRefused, ApiUnavailable, ObjectChanged
from forebay_operator.models.endpoint import ClusterEndpoint, write_time
from forebay_operator.models.kinds import KINDS, ManagedKind, kind_of
from forebay_operator.models.names import FIELD_MANAGER, FINALIZER, GROUP, LABEL_OWNER

__all__ = ["Cluster", "Document", "StoredSecret"]

Document = Mapping[str, Any]

ENDPOINTS: Final = create_namespaced_resource(GROUP, "v1alpha1", KIND, "webhookendpoints")

TEXT_MOST: Final = 1024
"""Characters of an answer's message that are reported, as many as an Event takes."""

_DENIED: Final = re.compile(r"(denied (?:the )?request).*", re.DOTALL)
"""After this come the words of who denied it."""

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SERVER: Final = 500


@contextlib.contextmanager
def _translated(what: str, *, quotes: bool = False) -> Iterator[None]:
    """Turn the client's errors into ours; `quotes` where the answer may quote a secret value."""
    try:
        yield
    except ApiError as error:
        code = error.status.code or 0
        text = f"{what}: {_tellable(str(error.status.message), quotes=quotes)}"
        if code in {_CONFLICT, _NOT_FOUND}:
            raise ObjectChanged(text) from error
        if code == _TOO_MANY or code >= _SERVER:
            raise ApiUnavailable(text) from error
        raise ApiRefused(text) from error
    except (httpx2.HTTPError, OSError) as error:
        text = f"{what}: the API server did not answer"
        raise no_answer(text, error) from error


def _tellable(text: str, *, quotes: bool) -> str:
    """Return what the API server said, as it may stand in conditions, Events and the log.

    Args:
        text: Its words.
        quotes: Whether secret values may be in them: we sent some, and what refuses an object (a
            webhook for admission, a policy) may quote it. Then only the API server's own words are
            reported, which name who refused.
    """
    if quotes:
        text = _DENIED.sub(r"\1 (its words may quote a secret, so they are left out)", text)
    return text if len(text) <= TEXT_MOST else f"{text[:TEXT_MOST]}..."


class StoredSecret(NamedTuple):
    """A tenant's Secret."""

    values: dict[str, str]
    changed: float | None
    """When it was written last, in seconds since 1970; None where the API server does not say."""


class Cluster:
    """One cluster, seen by one installation."""

    def __init__(self, namespace: str, name: str, seconds: float, at_once: int) -> None:
        """Find the API server as kubectl does; nothing is sent yet.

        Args:
            namespace: Where all objects of ours are.
            name: The installation's, for the label that marks them.
            seconds: For one request.
            at_once: How many requests there are at one time; who comes later waits for a place.
        """
        self._client = AsyncClient(
            namespace=namespace, field_manager=FIELD_MANAGER, timeout=httpx2.Timeout(seconds)
        )
        self._discovery = Discovery(lambda: self._client.config, seconds)
        self._places = asyncio.Semaphore(at_once)
        self._namespace = namespace
        self._owner = {LABEL_OWNER: name}

    async def close(self) -> None:
        """Close the connections."""
        await self._discovery.close()
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _request(self, what: str, *, quotes: bool = False) -> AsyncIterator[None]:
        """Wait for a place, and turn the client's errors into ours."""
        async with self._places:
            with _translated(what, quotes=quotes):
                yield

    # --- endpoints

    async def endpoints(self) -> list[Document]:
        """Return all endpoints of all namespaces."""
        async with self._request("listing endpoints"):
            return [dict(each) async for each in self._client.list(ENDPOINTS, namespace="*")]

    async def set_finalizer(self, endpoint: ClusterEndpoint, *, present: bool) -> Document:
        """Put our finalizer on an endpoint, or take it off; returns the endpoint."""
        body = self._partial(endpoint)
        if present:
            body["metadata"]["finalizers"] = [FINALIZER]
        async with self._request(f"finalizer of {endpoint.endpoint}"):
            return dict(
                await self._client.patch(
                    ENDPOINTS,
                    endpoint.endpoint.name,
                    body,
                    namespace=endpoint.endpoint.namespace,
                    patch_type=PatchType.APPLY,
                    force=True,
                )
            )

    async def apply_status(self, endpoint: ClusterEndpoint, status: Document) -> Document:
        """Write the status and nothing else; returns the endpoint."""
        body = self._partial(endpoint) | {"status": dict(status)}
        async with self._request(f"status of {endpoint.endpoint}"):
            return dict(
                await self._client.patch(
                    ENDPOINTS.Status,
                    endpoint.endpoint.name,
                    body,
                    namespace=endpoint.endpoint.namespace,
                    patch_type=PatchType.APPLY,
                    force=True,
                )
            )

    @staticmethod
    def _partial(endpoint: ClusterEndpoint) -> dict[str, Any]:
        """Return what every apply to an endpoint begins with.

        With the uid an apply to one that is gone is refused; it would make a new one else.
        """
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": endpoint.endpoint.name,
                "namespace": endpoint.endpoint.namespace,
                "uid": endpoint.uid,
            },
        }

    # --- secrets of tenants

    async def secret(self, namespace: str, name: str) -> StoredSecret | None:
        """Return a Secret; None where there is none.

        Values that are no text are left out: none of ours can be such.
        """
        async with self._request(f"Secret {name}"):
            try:
                secret = await self._client.get(Secret, name, namespace=namespace)
            except ApiError as error:
                if error.status.code == _NOT_FOUND:
                    return None
                raise
        values: dict[str, str] = {}
        for key, data in (secret.data or {}).items():
            with contextlib.suppress(binascii.Error, UnicodeDecodeError):
                values[key] = base64.b64decode(data).decode()
        metadata = secret.metadata or ObjectMeta()
        written = [each.time for each in metadata.managedFields or () if each.time is not None]
        changed = max(written, default=metadata.creationTimestamp)
        return StoredSecret(values, None if changed is None else changed.timestamp())

    # --- objects of ours

    async def kinds(self) -> tuple[ManagedKind, ...]:
        """Return the kinds that can be made here: all but the optional ones that are missing.

        Raises:
            OperatorError: where the API server does not say.
        """
        served = await self._discovery.served(each for each in KINDS if each.is_optional)
        usable = {each for each in served if await self._may_list(each)}
        return tuple(each for each in KINDS if not each.is_optional or each in usable)

    async def _may_list(self, kind: ManagedKind) -> bool:
        """Say whether RBAC lets us use a kind."""
        async with self._request(f"listing {kind.name}"):
            try:
                await anext(aiter(self._client.list(kind.resource, chunk_size=1)), None)
            except ApiError as error:
                # Not found: it went meanwhile.
                if error.status.code in {_NOT_FOUND, _FORBIDDEN}:
                    return False
                raise
        return True

    @property
    def _labels(self) -> dict[str, Any]:
        return dict(self._owner)

    async def managed(self, resource: type[NamespacedResourceG]) -> list[Document]:
        """Return all objects of one kind that this installation made."""
        async with self._request(f"listing {kind_of(resource)}"):
            return [
                _document(each, resource)
                async for each in self._client.list(
                    resource, namespace=self._namespace, labels=self._labels
                )
            ]

    async def apply(self, desired: NamespacedResourceG) -> Document:
        """Apply an object; returns it as it then is."""
        resource = type(desired)
        async with self._request(kind_of(resource), quotes=resource is Secret):
            return _document(await self._client.apply(desired, force=True), resource)

    async def delete(self, resource: type[NamespacedResourceG], name: str) -> None:
        """Delete an object; one that is gone already is fine."""
        with contextlib.suppress(ObjectChanged):
            async with self._request(kind_of(resource)):
                await self._client.delete(resource, name, namespace=self._namespace)

    async def scale_down(self, name: str) -> None:
        """Set a Deployment's replicas to 0; one that is gone is fine."""
        with contextlib.suppress(ObjectChanged):
            async with self._request("Deployment"):
                await self._client.patch(
                    Deployment, name, {"spec": {"replicas": 0}}, namespace=self._namespace
                )

    # --- pods

    async def pods(self) -> AsyncIterator[Document]:
        """Give all pods of Forebay's namespace."""
        async with self._request("listing pods"):
            async for pod in self._client.list(Pod, namespace=self._namespace):
                yield _document(pod, Pod)

    async def annotate_pod(self, name: str, annotation: str, value: str) -> None:
        """Set one annotation of a pod; a pod that is gone is fine."""
        body = {"metadata": {"annotations": {annotation: value}}}
        with contextlib.suppress(ObjectChanged):
            async with self._request(f"Pod {name}"):
                await self._client.patch(
                    Pod, name, body, namespace=self._namespace, patch_type=PatchType.MERGE
                )

    # --- events

    async def record(
        self, endpoint: ClusterEndpoint, *, kind: str, reason: str, message: str, now: datetime
    ) -> str:
        """Write an Event about an endpoint, for a person; returns the Event's name."""
        name = endpoint.endpoint.name
        event = Event(
            metadata=ObjectMeta(generateName=f"{name}.", namespace=endpoint.endpoint.namespace),
            involvedObject=ObjectReference(
                apiVersion=API_VERSION,
                kind=KIND,
                name=name,
                namespace=endpoint.endpoint.namespace,
                uid=endpoint.uid,
            ),
            type=kind,
            reason=reason,
            message=message[:TEXT_MOST],
            action="Reconcile",
            reportingComponent=FIELD_MANAGER,
            reportingInstance=FIELD_MANAGER,
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        async with self._request(f"Event of {endpoint.endpoint}"):
            made = await self._client.create(event)
        return str(made.metadata.name)

    async def record_again(
        self, endpoint: ClusterEndpoint, name: str, count: int, now: datetime
    ) -> None:
        """Count one more time in an Event that is there.

        Raises:
            ObjectChanged: where it is gone.
        """
        body = {"count": count, "lastTimestamp": write_time(now)}
        async with self._request(f"Event of {endpoint.endpoint}"):
            await self._client.patch(
                Event,
                name,
                body,
                namespace=endpoint.endpoint.namespace,
                patch_type=PatchType.MERGE,
            )


def _document(obj: object, resource: type[NamespacedResourceG]) -> Document:
    document: dict[str, Any] = msgspec.to_builtins(obj)
    document["kind"] = kind_of(resource)
    return document
