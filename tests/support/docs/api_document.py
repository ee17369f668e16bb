"""docs/schemas/openapi.json: made of the API's application."""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from forebay_api.handlers.application import api_application
from forebay_api.metrics import ApiMetrics
from forebay_api.services.access import Access
from forebay_api.services.tenant_reader import TenantReader

__all__ = ["API_DOCUMENT", "document", "document_text"]

API_DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "schemas" / "openapi.json"


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document of the API as it is."""
    unused: Any = None
    access = Access(tuple, unused, each=1, every=1)
    reading = TenantReader(unused, (), unused)
    return api_application(access, reading, 1.0, ApiMetrics()).openapi()


def document_text() -> str:
    """Return what the file holds."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
