"""A NATS that takes requests for messages and hands out none: what it says is the test's own."""

from typing import cast

from nats.aio.client import Client
from nats.aio.msg import Msg

__all__ = ["PullServer", "refused"]


class PullServer:
    """Stands for a connected client."""

    is_connected = True
    is_closed = False
    max_payload = 1024 * 1024

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The subjects of the requests that came."""

    def new_inbox(self) -> str:
        """Return a subject for answers."""
        return "_INBOX.test"

    async def publish(self, subject: str, _: bytes, __: str) -> None:
        """Take a request."""
        self.asked.append(subject)


def refused(why: str) -> Msg:
    """Return what the server says of a request that it ends early, in its words."""
    headers = {"Status": "409", "Description": why}
    return Msg(cast("Client", None), "x", "", b"", headers)
