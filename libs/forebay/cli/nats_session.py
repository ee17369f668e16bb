"""Which NATS a command works with, and a connection to it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.runtime.jetstream.command_client import CommandClient
    from forebay.runtime.settings import NatsSettings

__all__ = ["nats_epilog", "nats_of_run", "nats_settings", "shard_names", "with_client"]


def nats_epilog(example: str) -> str:
    """Return what the help of such a command ends with: how NATS is found, and on a cluster."""
    return (
        "NATS is found by --nats-url, else FOREBAY_NATS_URL, else as that of `forebay run` in "
        "this folder. FOREBAY_NATS_USER, _PASSWORD, _CREDENTIALS and _TLS_CA say who you are. On a "
        f"cluster: kubectl exec -it -n forebay deploy/forebay-processors -- forebay {example}"
    )


def with_client(
    work: Callable[["CommandClient"], Coroutine[Any, Any, None]],
    nats_url: str | None,
    data_dir: Path,
) -> None:
    """Connect to NATS and run a verb over the connection.

    Args:
        work: The verb.
        nats_url: As given by `--nats-url`; None where it was not.
        data_dir: Of a `forebay run` that may have a NATS.

    Raises:
        ConfigurationError: where the NATS that is named cannot be one.
        StoreUnavailable: where it does not answer.
    """

    async def connected() -> None:
        from forebay.runtime.jetstream.command_client import command_client

        async with command_client(await nats_settings(nats_url, data_dir)) as client:
            await work(client)

    asyncio.run(connected())


def shard_names(text: str) -> tuple[str, ...]:
    """Read `--shard`; raises ConfigurationError where it names none."""
    from forebay.core.endpoint_name import is_dns_label

    shards = tuple(part.strip() for part in text.split(",") if part.strip())
    if not shards or not all(is_dns_label(each) for each in shards):
        message = f"--shard {text!r} is none: give one such as 0"
        raise ConfigurationError(message)
    return shards


async def nats_settings(nats_url: str | None, data_dir: Path) -> "NatsSettings":
    """Find NATS: as said, else by the environment, else that of a run of this machine."""
    from forebay.runtime.settings import NatsSettings, load_settings

    settings = load_settings(NatsSettings).of_part("processor")
    if nats_url is not None:
        if not nats_url.startswith(("nats://", "tls://")):
            message = f"{nats_url!r} is no URL of NATS: give one such as nats://127.0.0.1:4222"
            raise ConfigurationError(message)
        return settings.model_copy(update={"url": nats_url})
    local = await nats_of_run(nats_url, data_dir)
    if local is not None:
        # It has no users and no certificates, whatever the environment says of others.
        return NatsSettings.model_construct(url=local)
    return settings


async def nats_of_run(nats_url: str | None, data_dir: Path) -> str | None:
    """Return the URL of the NATS of a run of this machine; None where another one is used.

    Raises:
        ForebayError: where a run has the data folder and its NATS does not answer.
    """
    from forebay.local.find_running_nats import running_nats

    if nats_url is not None or "FOREBAY_NATS_URL" in os.environ:
        return None
    return await running_nats(data_dir)
