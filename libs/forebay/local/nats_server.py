"""The embedded nats-server: where its program is, how it is configured, when it is up."""

import asyncio
import json
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

from forebay.core.errors import ConfigurationError

__all__ = ["SERVER_NAME", "find_program", "free_port", "greets", "server_config"]

HOST: Final = "127.0.0.1"
"""No one else's business: the embedded server has no users and no passwords."""

SERVER_NAME: Final = "forebay-local"
"""By this other commands recognise it."""

MAX_PAYLOAD_BYTES: Final = 8 * 1024 * 1024
"""Above the receiver's limit on a body (4 MiB) with its headers; the server's default is 1 MiB."""

LOG_LIMIT_BYTES: Final = 16 * 1024 * 1024

_CONFIG = """\
# Written by `forebay run` at each start: edits are lost.
server_name: {name}
listen: "{host}:{port}"
max_payload: {max_payload}
jetstream {{
  store_dir: {store}
}}
log_file: {log}
log_size_limit: {log_limit}
"""


def find_program() -> str:
    """Return the path of nats-server: beside this Python, where its package puts it, or on PATH.

    Raises:
        ConfigurationError: where there is none.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        message = (
            "nats-server is missing: install forebay[local], or name a NATS that runs already "
            "with --nats-url"
        )
        raise ConfigurationError(message)
    return found


def server_config(port: int, store: Path, log: Path) -> str:
    """Return the server's configuration."""
    return _CONFIG.format(
        name=SERVER_NAME,
        host=HOST,
        port=port,
        max_payload=MAX_PAYLOAD_BYTES,
        store=json.dumps(str(store)),
        log=json.dumps(str(log)),
        log_limit=LOG_LIMIT_BYTES,
    )


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def greets(port: int) -> bool:
    """Say whether a server listens on the port and has JetStream on."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                verb, _, info = (await reader.readline()).partition(b" ")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return verb == b"INFO" and bool(json.loads(info).get("jetstream"))
