"""A connection to NATS for a command that a person waits for: there at once, or one sentence."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from nats.aio.client import Client
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.errors import StoreUnavailable, failure_words
from forebay.runtime.jetstream.fast_subscriptions import QuickClient
from forebay.runtime.jetstream.link import login
from forebay.runtime.jetstream.servers import Server
from forebay.runtime.settings import NatsSettings

__all__ = ["CommandClient", "command_client"]

CommandClient = Client
"""What a command talks to NATS with, by a name for those who only hand it on."""

CONNECT_SECONDS: Final = 3
RECONNECT_SECONDS: Final = 0.5

TRIES: Final = 5
"""A server that refuses a user says so and closes at once; where this side was just writing, the
reset takes the word away. So a reset is no answer, and is asked again."""


@contextlib.asynccontextmanager
async def command_client(settings: NatsSettings) -> AsyncIterator[Client]:
    """Give a connected client, and close it in the end.

    A connection that is lost later is made again for as long as the command wants to wait.

    Raises:
        StoreUnavailable: where NATS cannot be reached now; it says which address was tried.
    """
    client = await _connected(settings)
    # From now on it is known to be there: it comes back after a restart.
    client.options["max_reconnect_attempts"] = -1
    try:
        yield client
    finally:
        await client.close()


async def _connected(settings: NatsSettings) -> Client:
    where = ", ".join(Server.parse(url).name for url in settings.urls)
    for left in reversed(range(TRIES)):
        client = QuickClient()
        causes: list[Exception] = []

        async def failed(error: Exception, causes: list[Exception] = causes) -> None:
            # Kept for the sentence below; what happens later is raised by the calls themselves.
            causes[:] = [error]

        try:
            await client.connect(
                **login(settings),
                name="forebay-command",
                connect_timeout=CONNECT_SECONDS,
                # Each server once; a negative number would go on forever.
                max_reconnect_attempts=1,
                reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # passed to sleep()
                pending_size=0,
                skip_subject_validation=True,
                error_cb=failed,
            )
        except (NatsError, OSError, TimeoutError) as error:
            await client.close()
            cause = causes[0] if causes else error
            if isinstance(cause, ConnectionResetError) and left:
                continue
            raise StoreUnavailable(_sentence(where, cause)) from error
        return client
    raise AssertionError  # the last try returned or raised


def _sentence(where: str, error: Exception) -> str:
    if isinstance(error, AuthorizationError) or "authorization" in str(error).lower():
        return (
            f"NATS at {where} refuses the user: set FOREBAY_NATS_USER and FOREBAY_NATS_PASSWORD, "
            "or FOREBAY_NATS_CREDENTIALS, as Forebay's processors have them"
        )
    if "certificate" in str(error).lower():
        return (
            f"the certificate of NATS at {where} is not trusted: name its authority by "
            "FOREBAY_NATS_TLS_CA"
        )
    return (
        f"NATS does not answer at {where} ({failure_words(error)}): start `forebay run` in this "
        "folder, or name a NATS by --nats-url or FOREBAY_NATS_URL"
    )
