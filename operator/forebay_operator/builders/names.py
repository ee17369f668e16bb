"""What objects are called and how they are labelled."""

import hashlib

from lightkube.models.meta_v1 import ObjectMeta

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.names import (
    LABEL_COMPONENT,
    LABEL_ENDPOINT,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_NAMESPACE,
    LABEL_OWNER,
    LABEL_PART_OF,
    LABEL_VERSION,
    PART_OF,
)
from forebay_operator.settings.config import OperatorConfig

__all__ = [
    "NAME_LIMIT",
    "PROCESSOR_COMPONENT",
    "RECEIVER_COMPONENT",
    "all_processors_selector",
    "endpoint_labels",
    "endpoint_meta",
    "endpoint_object_name",
    "endpoint_selector",
    "host_object_name",
    "own_labels",
    "processor_meta",
    "processor_selector",
    "table_index",
]

NAME_LIMIT = 63
"""What Services and labels allow."""

HASH_DIGITS = 8
"""32 bits: with 1,000 endpoints one chance in 8,000 that any two meet."""

RECEIVER_COMPONENT = "dedicated-receiver"
"""Not the `receiver` of the chart's shared pods: no selector of one may take pods of the other."""

PROCESSOR_COMPONENT = "dedicated-processor"
"""The same of processors."""


def _hashed(prefix: str, readable: str, identity: str) -> str:
    """Return `<prefix>-<readable>-<hash>`, the readable part cut where it is too long.

    The hash is always there: `a-b/c` and `a/b-c` read the same.
    """
    digest = hashlib.sha256(identity.encode()).hexdigest()[:HASH_DIGITS]
    room = NAME_LIMIT - len(prefix) - len(digest) - 2
    return f"{prefix}-{readable[:room].rstrip('-')}-{digest}"


def endpoint_object_name(
    endpoint: EndpointName, config: OperatorConfig, *, purpose: str = ""
) -> str:
    """Return the name of the objects of an endpoint; each is of another kind, or has a purpose."""
    prefix = f"{config.name}-{purpose}" if purpose else config.name
    return _hashed(prefix, f"{endpoint.namespace}-{endpoint.name}", str(endpoint))


def host_object_name(purpose: str, host: str, config: OperatorConfig) -> str:
    """Return the name of an object that belongs to a host, such as the shared route's."""
    return _hashed(f"{config.name}-{purpose}", host.replace(".", "-"), host)


def table_index(endpoint: EndpointName, count: int) -> int:
    """Return the table that is tried first for an endpoint; `services.table_placement` decides."""
    digest = hashlib.sha256(str(endpoint).encode()).digest()
    return int.from_bytes(digest[:8]) % count


def own_labels(config: OperatorConfig) -> dict[str, str]:
    """Return what marks an object as made by this installation's operator."""
    labels = {
        LABEL_NAME: "forebay",
        LABEL_INSTANCE: config.release,
        LABEL_PART_OF: PART_OF,
        LABEL_MANAGED_BY: "forebay-operator",
        LABEL_OWNER: config.name,
    }
    if config.version:
        labels[LABEL_VERSION] = config.version
    return labels


def endpoint_selector(endpoint: EndpointName, config: OperatorConfig) -> dict[str, str]:
    """Return the labels that find an endpoint's pods; nothing in them follows from a spec."""
    return {
        LABEL_OWNER: config.name,
        LABEL_COMPONENT: RECEIVER_COMPONENT,
        LABEL_NAMESPACE: endpoint.namespace,
        LABEL_ENDPOINT: endpoint.name,
    }


def processor_selector(endpoint: EndpointName, config: OperatorConfig) -> dict[str, str]:
    """Return the labels that find the pods of an endpoint's own processors."""
    return endpoint_selector(endpoint, config) | {LABEL_COMPONENT: PROCESSOR_COMPONENT}


def all_processors_selector(config: OperatorConfig) -> dict[str, str]:
    """Return the labels that find the pods of all endpoints' own processors."""
    return {LABEL_OWNER: config.name, LABEL_COMPONENT: PROCESSOR_COMPONENT}


def processor_meta(endpoint: EndpointName, config: OperatorConfig) -> ObjectMeta:
    """Return the metadata of an object of an endpoint's own processors."""
    return ObjectMeta(
        name=endpoint_object_name(endpoint, config, purpose="processors"),
        namespace=config.namespace,
        labels=own_labels(config) | processor_selector(endpoint, config),
    )


def endpoint_labels(endpoint: EndpointName, config: OperatorConfig) -> dict[str, str]:
    """Return the labels of all objects of an endpoint."""
    return own_labels(config) | endpoint_selector(endpoint, config)


def endpoint_meta(endpoint: EndpointName, config: OperatorConfig) -> ObjectMeta:
    """Return the metadata of an object of an endpoint."""
    return ObjectMeta(
        name=endpoint_object_name(endpoint, config),
        namespace=config.namespace,
        labels=endpoint_labels(endpoint, config),
    )
