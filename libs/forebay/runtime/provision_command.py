"""Provisions a shard over a connection of its own: for programs that keep none to NATS."""

from nats.aio.client import Client
from nats.errors import Error as NatsError

from forebay.core.errors import ConfigurationError
from forebay.runtime.jetstream.errors import StoreError, StoreUnavailable, failure_words
from forebay.runtime.jetstream.link import CONNECT_SECONDS, login
from forebay.runtime.jetstream.streams import ShardConfig, ensure_shard
from forebay.runtime.settings import NatsSettings

__all__ = ["provision"]


async def provision(settings: NatsSettings, config: ShardConfig) -> None:
    """Connect once, make the shard's streams and consumers, and disconnect.

    Raises:
        StoreUnavailable: where NATS does not answer.
        ConfigurationError: where NATS refuses a stream or a consumer.
    """
    client = Client()
    try:
        await client.connect(
            **login(settings),
            name="forebay-provision",
            connect_timeout=CONNECT_SECONDS,
            allow_reconnect=False,
            # Without these the client asks a server that is not there for two minutes.
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_ignore,
        )
        await ensure_shard(client, config)
    except StoreUnavailable:
        raise
    except StoreError as error:
        raise ConfigurationError(str(error)) from error
    except (NatsError, OSError, TimeoutError) as error:
        message = f"NATS did not answer: {failure_words(error)}"
        raise StoreUnavailable(message) from error
    finally:
        await client.close()


async def _ignore(_: Exception) -> None:
    """What went wrong is raised by the call itself."""
