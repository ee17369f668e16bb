"""What a manifest says of a destination `python`."""

from typing import Annotated

from pydantic import Field

from forebay.core.field_types import FunctionName, HandlerName
from forebay.core.spec_base import ResourceRecord

__all__ = ["PythonSpec"]


class PythonSpec(ResourceRecord):
    """Each item as a typed event, handed to a function in the processor."""

    handler: HandlerName
    """`module:function`; a coroutine function, or a plain one, which gets a thread."""

    start: FunctionName | None = None
    """A function of the same module that is called once before the first event."""

    stop: FunctionName | None = None
    """A function of the same module that is called once after the last event."""

    timeout_seconds: Annotated[float, Field(ge=0.1, le=600)] = 30.0
    """For one call."""

    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 64
    """Calls under way, shared by the processors."""

    rate_per_second: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Calls a second; 0 for no limit."""
