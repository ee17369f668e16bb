"""What all records of a manifest have in common, and how one names a secret."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from forebay.core.field_types import SecretKey, SecretName

__all__ = ["ResourceRecord", "SecretKeyRef", "SecretSource", "SecretSources"]


class ResourceRecord(BaseModel):
    """What all records of the resource have in common."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # YAML's `"80"` is text and `yes` may be anything: what a cluster would refuse, we refuse.
        strict=True,
        alias_generator=to_camel,
        # A secret that was written where none belongs must not come out in a message.
        hide_input_in_errors=True,
        # Code names fields as Python does; a manifest may not: see `parse_endpoint`.
        validate_by_name=True,
    )


class SecretKeyRef(ResourceRecord):
    """A key of a Secret in the endpoint's own namespace."""

    name: SecretName
    key: SecretKey


class SecretSource(ResourceRecord):
    """Where a secret value comes from; it never stands in the manifest itself."""

    secret_key_ref: SecretKeyRef


SecretSources = Annotated[tuple[SecretSource, ...], Field(min_length=1, max_length=8)]
"""Live values, any of which will do: add the new one, change the sender, remove the old one."""
