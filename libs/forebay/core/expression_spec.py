"""What a manifest says of which events a destination gets, and of what it gets of each."""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator

from forebay.core.errors import ForebayError
from forebay.core.spec_base import ResourceRecord

__all__ = ["FilterSpec", "TransformSpec"]

FILTER_CHARACTERS: Final = 1024
"""What an evaluation takes grows with it: `filter_expression` says how."""

TRANSFORM_CHARACTERS: Final = 4096


def _compiled(text: str, most: int, compile_: Callable[[str], object]) -> str:
    # The length first: what a compiler does with it grows faster.
    if not 1 <= len(text) <= most:
        message = f"use 1 to {most} characters, not {len(text)}"
        raise ValueError(message)
    try:
        compile_(text)
    except ForebayError as error:
        raise ValueError(str(error)) from error
    return text


def _filter(text: str) -> str:
    # Who reads no manifests has not its library, which comes with two parts' extras.
    from forebay.core.filter_expression import compile_filter  # noqa: PLC0415

    return _compiled(text, FILTER_CHARACTERS, compile_filter)


def _transform(text: str) -> str:
    from forebay.core.transform_expression import compile_transform  # noqa: PLC0415  # as above

    return _compiled(text, TRANSFORM_CHARACTERS, compile_transform)


class FilterSpec(ResourceRecord):
    """Which events a destination gets, of those of its `events` and `channels`."""

    expression: Annotated[str, AfterValidator(_filter)]
    """In CEL: an event for which it is true is delivered."""


class TransformSpec(ResourceRecord):
    """What a destination gets of each event."""

    expression: Annotated[str, AfterValidator(_transform)]
    """In JMESPath: its result takes the place of the event's `data`."""
