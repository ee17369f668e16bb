"""Names that are written into clusters: labels, annotations, finalizer, field manager.

Changing one of them is a migration: objects of an older operator would not be found again.
"""

from typing import Final

__all__ = [
    "ANNOTATION_DELETED",
    "ANNOTATION_DESIRED",
    "ANNOTATION_TABLES",
    "FIELD_MANAGER",
    "FINALIZER",
    "GROUP",
    "LABEL_COMPONENT",
    "LABEL_ENDPOINT",
    "LABEL_INSTANCE",
    "LABEL_MANAGED_BY",
    "LABEL_NAME",
    "LABEL_NAMESPACE",
    "LABEL_OWNER",
    "LABEL_PART_OF",
    "LABEL_VERSION",
    "PART_OF",
]

GROUP: Final = "forebay.dev"

FIELD_MANAGER: Final = "forebay-operator"
"""Who writes, for server-side apply: one name for all, so that a field that is no longer desired
disappears."""

FINALIZER: Final = "forebay.dev/cleanup"
"""Holds an endpoint until what Kubernetes cannot collect is gone."""

LABEL_NAMESPACE: Final = "forebay.dev/endpoint-namespace"
LABEL_ENDPOINT: Final = "forebay.dev/endpoint-name"
LABEL_OWNER: Final = "forebay.dev/operator"
"""The name of the installation that made an object: two in one namespace never prune each other."""

LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_INSTANCE: Final = "app.kubernetes.io/instance"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"
LABEL_PART_OF: Final = "app.kubernetes.io/part-of"
PART_OF: Final = "forebay"
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_VERSION: Final = "app.kubernetes.io/version"

ANNOTATION_TABLES: Final = "forebay.dev/tables"
"""On pods: the generation of the table that was written last. The change wakes the kubelet, which
else reads mounted Secrets once in 90 s only."""

ANNOTATION_DESIRED: Final = "forebay.dev/desired"
"""On every object: a hash of what was applied. With it a field that is no longer desired is seen
though nothing that is desired differs."""

ANNOTATION_DELETED: Final = "forebay.dev/deleted"
"""On the processors' tables: when each endpoint that is listed as deleted went, in JSON."""
