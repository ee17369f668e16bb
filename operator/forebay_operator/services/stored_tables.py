"""Reads the tables that stand in Secrets: they are the operator's memory of what it told pods."""

import base64

import structlog

from forebay.core.errors import ConfigurationError
from forebay.core.tables import AnyTable, decode_table
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey

__all__ = ["read_table"]

_log = structlog.get_logger(__name__)


def read_table(
    cache: ClusterCache, secret: str, file: str, kind: type[AnyTable]
) -> AnyTable | None:
    """Return a table; None where there is none, or none that can be read: it is written anew."""
    document = cache.object(ObjectKey("Secret", secret))
    if document is None:
        return None
    try:
        return decode_table(base64.b64decode((document.get("data") or {})[file]), kind)
    except (KeyError, ValueError, ConfigurationError) as error:
        _log.warning("table_unreadable", secret=secret, reason=type(error).__name__)
        return None
