"""Handlers that keep what they get."""

from forebay.handler import Event

kept: list[Event] = []


async def keep(event: Event) -> None:
    kept.append(event)


def keep_plain(event: Event) -> None:
    kept.append(event)
