"""What all groups of the file of settings have in common."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from forebay.core.field_types import label, parse_duration

__all__ = ["Age", "Bytes", "LabelMap", "ObjectName", "Port", "Seconds", "SettingsGroup"]


def _age(value: object) -> object:
    return timedelta(seconds=parse_duration(value)) if isinstance(value, str) else value


Age = Annotated[timedelta, BeforeValidator(_age)]
"""A duration such as `168h`."""

Bytes = Annotated[int, Field(ge=1024 * 1024)]

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
ObjectName = Annotated[str, label(63)]
LabelMap = dict[str, str]


class SettingsGroup(BaseModel):
    """What all groups of the file have in common: a misspelt key stops the start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )
