"""What every part's process does at its start: listen, and settle the garbage collector."""

import gc
import socket
from pathlib import Path
from typing import Final

from forebay.core.errors import ConfigurationError

__all__ = ["LISTEN_BACKLOG", "listen", "place_of_listener", "settle_garbage_collector"]

LISTEN_BACKLOG: Final = 2048
"""Connections that wait to be taken: a rollout brings many at once."""

GC_THRESHOLD: Final = 50_000
"""Objects between two collections of the youngest generation. Webhooks and items make no cycles:
reference counts free them, and every collection is a pause (p99 32 ms without this, 6 ms with)."""


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: An address or a name; one with a colon is of IPv6.
        port: 0 for any that is free.
        variable: The setting that the error names.

    Raises:
        ConfigurationError: where the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        message = f"{host}:{port} cannot be listened on ({error.strerror}): set {variable}"
        raise ConfigurationError(message) from error


def place_of_listener(listening: socket.socket) -> str:
    """Return a name for where a process listens, that no two live processes can have.

    A kernel lets one process listen on an address and port of a network namespace. So who comes
    with the same name comes after the one who had it before has ended. The host's name, which is a
    pod's, is for sandboxes and copied machines that tell all the same boot id and namespace.
    """
    host, port = listening.getsockname()[:2]
    machine = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        network = str(Path("/proc/self/ns/net").stat().st_ino)
    except OSError:
        # No Linux: then two hosts may not have the same name.
        boot, network = "", ""
    return f"{machine}/{boot}/{network}/{host}:{port}"


def settle_garbage_collector() -> None:
    """Keep what was made at the start out of every later collection, and make those rare."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 100)
