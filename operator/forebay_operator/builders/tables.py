"""The Secrets from which receivers and processors know the endpoints.

A table's generation is a hash of its content: the same endpoints give the same Secret, whoever
writes it and however often.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Secret

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import (
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    encode_table,
)
from forebay_operator.builders.names import endpoint_meta, own_labels, processor_meta
from forebay_operator.models.names import ANNOTATION_DELETED, LABEL_COMPONENT
from forebay_operator.settings.config import OperatorConfig

__all__ = [
    "DEDICATED_FILE",
    "DEDICATED_PROCESSORS_FILE",
    "DELETED_MOST",
    "TABLE_COMPONENT",
    "Pool",
    "dedicated_processor_table",
    "dedicated_table",
    "latest_deleted",
    "listed_as_deleted",
    "processor_table",
    "receiver_table",
    "table_file",
    "table_generation",
    "table_name",
]

Pool = Literal["receivers", "processors"]

TABLE_COMPONENT: Final = "table"
DELETED_MOST: Final = 1000
"""Deleted endpoints that one table lists, the latest ones: a name takes up to 117 bytes there, and
130 in an annotation, all of which have 256 KiB. Of one that is not listed any more, what comes up
waits as for an endpoint that is not known yet, and is set aside when its age ends."""

DEDICATED_FILE: Final = "receivers.json"
"""The one file of a Dedicated endpoint's receivers."""

DEDICATED_PROCESSORS_FILE: Final = "processors.json"
"""The one file of an endpoint's own processors."""


def table_name(pool: Pool, index: int, config: OperatorConfig) -> str:
    """Return the name of a shared table's Secret."""
    return f"{config.name}-{pool}-{index:02d}"


def table_file(pool: Pool, index: int) -> str:
    """Return its one key, which is the file's name in the pods."""
    return f"{pool}-{index:02d}.json"


def table_generation(table: ReceiverTable | ProcessorTable) -> str:
    """Return the generation that pods report once they have read this content."""
    return hashlib.sha256(encode_table(table)).hexdigest()[:12]


def dedicated_table(route: ReceiverRoute, config: OperatorConfig) -> tuple[Secret, str]:
    """Return the table of one Dedicated endpoint, and its generation."""
    table, generation = _receivers([route])
    metadata = endpoint_meta(route.endpoint, config)
    return _secret(metadata, DEDICATED_FILE, table), generation


def dedicated_processor_table(
    endpoint: EndpointName, entry: ProcessorEndpoint | None, config: OperatorConfig
) -> tuple[Secret, str]:
    """Return the table of an endpoint's own processors, and its generation.

    Args:
        endpoint: Whose they are.
        entry: What they are to know of it; None for nothing: then they leave all where it is.
        config: The settings.
    """
    entries = () if entry is None else (entry,)
    generation = table_generation(ProcessorTable(generation="", endpoints=entries))
    table = ProcessorTable(generation=generation, endpoints=entries)
    return _secret(processor_meta(endpoint, config), DEDICATED_PROCESSORS_FILE, table), generation


def receiver_table(
    index: int, routes: Iterable[ReceiverRoute], config: OperatorConfig
) -> tuple[Secret, str]:
    """Return one of the shared receivers' tables, and its generation."""
    table, generation = _receivers(routes)
    metadata = _table_meta("receivers", index, config)
    return _secret(metadata, table_file("receivers", index), table), generation


def processor_table(
    index: int,
    endpoints: Iterable[ProcessorEndpoint],
    deleted: Mapping[EndpointName, int],
    config: OperatorConfig,
) -> tuple[Secret, str]:
    """Return one of the processors' tables, and its generation.

    Args:
        index: Which of the tables.
        endpoints: Those that are placed in it.
        deleted: Those that went not long ago, with the second in which they did.
        config: The settings.
    """
    table = ProcessorTable(
        generation="",
        endpoints=tuple(sorted(endpoints, key=lambda each: each.endpoint)),
        deleted=tuple(sorted(str(name) for name in deleted)),
    )
    generation = table_generation(table)
    table = ProcessorTable(generation=generation, endpoints=table.endpoints, deleted=table.deleted)
    metadata = _table_meta("processors", index, config)
    times = {str(name): when for name, when in deleted.items()}
    metadata.annotations = {ANNOTATION_DELETED: json.dumps(times, sort_keys=True)}
    return _secret(metadata, table_file("processors", index), table), generation


def listed_as_deleted(document: Mapping[str, Any]) -> dict[EndpointName, int]:
    """Return the endpoints that a table's Secret lists as deleted, with the second of each.

    What somebody has made unreadable counts as nothing: it is written anew.
    """
    annotations = document.get("metadata", {}).get("annotations") or {}
    try:
        written = json.loads(annotations.get(ANNOTATION_DELETED, "{}"))
        return {EndpointName.parse(name): int(when) for name, when in written.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def latest_deleted(deleted: Mapping[EndpointName, int], oldest: float) -> dict[EndpointName, int]:
    """Return the deleted endpoints that a table lists: those after a time, the latest of them."""
    young = [each for each in deleted.items() if each[1] > oldest]
    return dict(sorted(young, key=lambda each: (each[1], each[0]))[-DELETED_MOST:])


def _receivers(routes: Iterable[ReceiverRoute]) -> tuple[ReceiverTable, str]:
    ordered = tuple(sorted(routes, key=lambda each: each.endpoint))
    generation = table_generation(ReceiverTable(generation="", routes=ordered))
    return ReceiverTable(generation=generation, routes=ordered), generation


def _table_meta(pool: Pool, index: int, config: OperatorConfig) -> ObjectMeta:
    return ObjectMeta(
        name=table_name(pool, index, config),
        namespace=config.namespace,
        labels=own_labels(config) | {LABEL_COMPONENT: TABLE_COMPONENT},
    )


def _secret(metadata: ObjectMeta, file: str, table: ReceiverTable | ProcessorTable) -> Secret:
    data = base64.b64encode(encode_table(table)).decode()
    return Secret(metadata=metadata, type="forebay.dev/table", data={file: data})
