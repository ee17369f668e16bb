"""Inputs after public reports of what came in, and how many items are right (tests/data/cases)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from forebay.core.providers.names import ProviderName

__all__ = ["CASES", "Case", "Post"]

_DATA: Final = Path(__file__).parents[2] / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One webhook of a case."""

    body: bytes
    at: int
    """Seconds after the first."""

    number: int
    """Which POST of the case it is, from 0: at a generic endpoint each is an event."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is right for one file of cases."""

    items: int
    """How many items arrive at a destination of the form `Event`."""

    bodies: int | None = None
    """How many webhooks arrive at one of the form `Raw`, where equal bodies are sent."""

    provider: ProviderName = "meta"
    sent_at: tuple[int, ...] = (0,)
    """When all bodies of the file are sent, one after the other: seconds after the first."""

    respaced: bool = False
    """Whether they have other white space the second time."""

    def posts(self, name: str) -> Iterator[Post]:
        """Give the case's webhooks in their order."""
        documents = json.loads((_DATA / "cases" / f"{name}.json").read_bytes())
        number = 0
        for turn, at in enumerate(self.sent_at):
            space = (", ", ": ") if self.respaced and turn else (",", ":")
            for document in documents:
                # Half an emoji stays the escape that it is.
                body = json.dumps(document, separators=space).encode()
                yield Post(body=body, at=at, number=number)
                number += 1


CASES: Final = msgspec.json.decode((_DATA / "cases.json").read_bytes(), type=dict[str, Case])
"""All cases, by the names of their files without `.json`."""
