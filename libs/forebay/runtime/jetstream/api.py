"""Requests of JetStream's API that nats-py has no fitting call for, each with a time limit.

For `runtime` and the parts' adapters. What the server refuses comes out as `errors` has it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.errors import StoreUnavailable, store_error

__all__ = ["API_SECONDS", "call", "find_message", "request"]

API_SECONDS: Final = 5.0
"""For an answer."""

_NO_MESSAGE: Final = 10037


async def request(client: Client, name: str, body: bytes = b"") -> Msg:
    """Ask, and return the answer, whatever it says.

    Args:
        client: A connected client.
        name: What is called and of which stream, such as `STREAM.INFO.FOREBAY_RAW_0`.
        body: What the call takes, in JSON.

    Raises:
        StoreUnavailable: where NATS does not answer.
    """
    try:
        return await client.request(f"$JS.API.{name}", body, timeout=API_SECONDS)
    except (NatsError, TimeoutError) as error:
        message = f"NATS gave no answer to {name.split('.FOREBAY', maxsplit=1)[0]}"
        raise StoreUnavailable(message) from error


async def call(client: Client, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Ask, and return what the answer holds.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    answer = await request(client, name, msgspec.json.encode(body))
    told: dict[str, Any] = msgspec.json.decode(answer.data)
    if told.get("error") is not None:
        raise store_error(told["error"])
    return told


async def find_message(
    client: Client, stream: str, wanted: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return a message as the stream's leader has it; None where there is none.

    Another replica could be behind, and not have it yet.

    Args:
        client: A connected client.
        stream: The stream's name.
        wanted: Which, as `STREAM.MSG.GET` takes it.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    answer = await request(client, f"STREAM.MSG.GET.{stream}", msgspec.json.encode(wanted))
    told: dict[str, Any] = msgspec.json.decode(answer.data)
    error = told.get("error")
    if error is None:
        found: dict[str, Any] = told["message"]
        return found
    if error.get("err_code") == _NO_MESSAGE:
        return None
    raise store_error(error)
