"""One `WebhookEndpoint` as it stands in the cluster, before its spec is checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.names import FINALIZER

__all__ = ["ClusterEndpoint", "read_time", "write_time"]


def read_time(text: str) -> datetime:
    """Read a time as Kubernetes writes it."""
    return datetime.fromisoformat(text)


def write_time(when: datetime) -> str:
    """Write a time as Kubernetes has it: in UTC, in whole seconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEndpoint:
    """The object with the parts of its metadata that matter here."""

    endpoint: EndpointName
    uid: str
    generation: int
    created: datetime
    deleted: datetime | None
    """When its deletion was asked for."""

    finalizers: tuple[str, ...]
    document: Mapping[str, Any]
    """All of it, for `forebay.core.resource.parse_endpoint`."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ClusterEndpoint":
        """Read the metadata that the API server always sets."""
        metadata = document["metadata"]
        deletion = metadata.get("deletionTimestamp")
        return cls(
            endpoint=EndpointName(metadata["namespace"], metadata["name"]),
            uid=metadata["uid"],
            generation=int(metadata.get("generation", 0)),
            created=read_time(metadata["creationTimestamp"]),
            deleted=read_time(deletion) if deletion else None,
            finalizers=tuple(metadata.get("finalizers") or ()),
            document=document,
        )

    @property
    def has_finalizer(self) -> bool:
        """Whether our finalizer is on it."""
        return FINALIZER in self.finalizers

    @property
    def status(self) -> Mapping[str, Any]:
        """The status that stands there now."""
        status = self.document.get("status")
        return status if isinstance(status, Mapping) else {}

    @property
    def served_host(self) -> str | None:
        """The host of the URL in its status; None where there is none."""
        url = self.status.get("url")
        try:
            return urlsplit(url).hostname if isinstance(url, str) else None
        except ValueError:
            return None

    @property
    def host(self) -> str | None:
        """The host that it names, whatever else is wrong with it."""
        spec = self.document.get("spec")
        host = spec.get("host") if isinstance(spec, Mapping) else None
        return host if isinstance(host, str) else None

    @property
    def shard(self) -> str:
        """The shard of its streams, whatever else is wrong with it."""
        spec = self.document.get("spec")
        processing = spec.get("processing") if isinstance(spec, Mapping) else None
        shard = processing.get("shard") if isinstance(processing, Mapping) else None
        return shard if isinstance(shard, str) else "0"

    @property
    def wants_own_streams(self) -> bool:
        """Whether it asks for streams of its own, whatever else is wrong with it."""
        spec = self.document.get("spec")
        processing = spec.get("processing") if isinstance(spec, Mapping) else None
        return isinstance(processing, Mapping) and processing.get("isolation") == "Dedicated"

    @property
    def secrets(self) -> frozenset[str]:
        """The names of all Secrets that its spec speaks of, whatever else is wrong with it."""
        return frozenset(self.secret_keys)

    @property
    def secret_keys(self) -> Mapping[str, frozenset[str]]:
        """The same, each with the keys of it that the spec speaks of."""
        found: dict[str, frozenset[str]] = {}
        for name, key in _secret_keys(self.document.get("spec")):
            found[name] = found.get(name, frozenset()) | {key}
        return found


def _secret_keys(spec: object) -> list[tuple[str, str]]:
    """Walk a spec by a list of our own: unknown fields are kept, nested as deep as JSON may be."""
    found: list[tuple[str, str]] = []
    open_nodes = [spec]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, Mapping):
            reference = node.get("secretKeyRef")
            if isinstance(reference, Mapping) and isinstance(reference.get("name"), str):
                found.append((reference["name"], _text(reference.get("key"))))
            open_nodes.extend(node.values())
        elif isinstance(node, list):
            open_nodes.extend(node)
    return found


def _text(key: object) -> str:
    # What is no text is no key; what it is instead could be as deep as the spec.
    return key if isinstance(key, str) else ""
