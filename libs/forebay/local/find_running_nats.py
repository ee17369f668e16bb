"""Finds the nats-server of a `forebay run` that runs in a data folder."""

import asyncio
import json
import re
from pathlib import Path
from typing import Final

from forebay.core.errors import ForebayError
from forebay.local.folder import owner_of
from forebay.local.nats_server import HOST, SERVER_NAME

__all__ = ["running_nats"]

_LISTEN: Final = re.compile(r'^listen: "[^":]+:(\d+)"$', re.MULTILINE)
GREETING_SECONDS: Final = 1.0


async def running_nats(data_dir: Path) -> str | None:
    """Return the URL of the server, or None where no run has one of its own there now.

    Its configuration stays behind when a run was killed, and something else may have the port by
    then: so whoever listens is asked for its name.

    Raises:
        ForebayError: where a run has the folder and its server does not answer. Another NATS of
            this machine is not what was meant.
    """
    try:
        found = _LISTEN.search((data_dir / "nats-server.conf").read_text(encoding="utf-8"))
    except OSError:
        return None
    if found is None:
        return None
    port = int(found[1])
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                verb, _, info = (await reader.readline()).partition(b" ")
            finally:
                writer.close()
        is_ours = verb == b"INFO" and json.loads(info).get("server_name") == SERVER_NAME
    except (OSError, TimeoutError, ValueError, AttributeError):
        is_ours = False
    if is_ours:
        return f"nats://{HOST}:{port}"
    owner = owner_of(data_dir)
    if owner is not None:
        message = (
            f"NATS of the `forebay run` in {data_dir} (process {owner}) does not answer at port "
            f"{port}: wait until it has started, look at {data_dir / 'logs' / 'nats.log'}, or stop "
            "that run and start it again"
        )
        raise ForebayError(message)
    return None
