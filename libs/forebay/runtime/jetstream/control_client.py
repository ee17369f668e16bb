"""Asks all processors of an installation something, and gathers what they answer."""

import asyncio
import secrets
from collections.abc import Collection
from typing import Final, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from forebay.core.control import (
    ANSWER_SUBJECT,
    CONTROL_SUBJECT,
    REPORT_SUBJECT,
    ControlAnswer,
    ControlRequest,
)
from forebay.runtime.jetstream.errors import StoreUnavailable, failure_words

__all__ = ["ANSWER_SECONDS", "Answers", "ask_processors"]

ANSWER_SECONDS: Final = 3.0
"""For all answers. A processor answers within milliseconds, or 0.1 s where 200,000 items wait."""

_DECODE: Final = msgspec.json.Decoder(ControlAnswer).decode


class Answers(NamedTuple):
    """What came."""

    answers: tuple[ControlAnswer, ...]
    """One of each processor, in the order of their ids; one at least."""

    missing: int
    """Processors that are known and gave none."""


async def ask_processors(
    client: Client,
    request: ControlRequest,
    within: float = ANSWER_SECONDS,
    *,
    reads_only: bool = False,
) -> Answers:
    """Ask, and wait until all have answered that any of them knows of.

    Args:
        client: A connected client.
        request: What is asked.
        within: Seconds for all answers.
        reads_only: Whether it is asked where nothing but `LIST` is answered.

    Raises:
        StoreUnavailable: where none answers in time.
    """
    answers: dict[str, ControlAnswer] = {}
    try:
        await _gather(
            client, request, within, answers, REPORT_SUBJECT if reads_only else CONTROL_SUBJECT
        )
    except NatsError as error:
        message = f"NATS did not take the request ({failure_words(error)}): say the same again"
        raise StoreUnavailable(message) from error
    except msgspec.DecodeError as error:
        message = "a processor's answer cannot be read: take the command of the same version"
        raise StoreUnavailable(message) from error
    if not answers:
        message = (
            "no processor answered: is one running, and may its user of NATS publish and "
            "subscribe to forebay.control.>?"
        )
        raise StoreUnavailable(message)
    found = tuple(answers[each] for each in sorted(answers))
    return Answers(found, len(_known(found) - answers.keys()))


async def _gather(
    client: Client,
    request: ControlRequest,
    within: float,
    answers: dict[str, ControlAnswer],
    subject: str,
) -> None:
    came: asyncio.Queue[Msg] = asyncio.Queue()
    reply = f"{ANSWER_SUBJECT}.{secrets.token_hex(11)}"
    subscription = await client.subscribe(reply, cb=came.put)
    await client.publish(subject, msgspec.json.encode(request), reply=reply)
    try:
        async with asyncio.timeout(within):
            while not _is_complete(answers):
                message = await came.get()
                if message.header and message.header.get("Status"):
                    return  # nobody hears this subject
                answer = _DECODE(message.data)
                answers[answer.processor] = answer
    except TimeoutError:
        pass
    finally:
        await subscription.unsubscribe()


def _is_complete(answers: dict[str, ControlAnswer]) -> bool:
    # A processor that has not joined yet does not know how many there are.
    is_known = all(each.processor in each.members for each in answers.values())
    return bool(answers) and is_known and _known(answers.values()) <= answers.keys()


def _known(answers: Collection[ControlAnswer]) -> set[str]:
    return {member for each in answers for member in each.members}
