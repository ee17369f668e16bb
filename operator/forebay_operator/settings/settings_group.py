"""What all groups of the file of settings have in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from forebay.core.field_types import label

__all__ = ["LabelMap", "ObjectName", "Port", "Seconds", "SettingsGroup"]

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
ObjectName = Annotated[str, label(63)]
LabelMap = dict[str, str]


class SettingsGroup(BaseModel):
    """What all groups of the file have in common: a misspelt key stops the start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )
