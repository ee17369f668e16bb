"""The yardstick: a bare ASGI application that answers 200 and does nothing, under uvicorn."""

from collections.abc import Awaitable, Callable, Mapping

__all__ = ["application"]

_START: Mapping[str, object] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"0")],
}
_BODY: Mapping[str, object] = {"type": "http.response.body", "body": b""}


async def application(
    scope: Mapping[str, object],
    receive: Callable[[], Awaitable[Mapping[str, object]]],
    send: Callable[[Mapping[str, object]], Awaitable[None]],
) -> None:
    """Answer 200 at once; the body is not even read."""
    del receive
    if scope["type"] == "http":
        await send(_START)
        await send(_BODY)
