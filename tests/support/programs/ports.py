"""Free TCP ports on the loopback interface."""

import collections
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["HOST", "free_port", "free_ports"]

HOST = "127.0.0.1"
"""Where everything under test listens."""

_PORTS = range(15_000, 32_000)
"""Below those that systems give to outgoing connections (Linux: from 32768 on): a server that is
restarted under load would find its port taken by one of its own clients."""

_KEPT: Final = 256
"""So many of the ports handed out last are kept from others: more than one test has."""

_locks: collections.deque[int] = collections.deque()


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now, all different.

    Between this call and the use of a port another worker could take it; so each port has a lock
    file, held by the process that got it. Only a stranger could still take one, and who finds a
    port taken says so and fails the test.
    """
    found: list[int] = []
    while len(found) < count:
        # Never the generator that pytest seeds: two runs at once would choose alike.
        port = random.SystemRandom().choice(_PORTS)
        if _reserve(port):
            found.append(port)
    while len(_locks) > _KEPT:
        os.close(_locks.popleft())
    return found


def free_port() -> int:
    """Return one port that nothing listens on now."""
    return free_ports(1)[0]


def _reserve(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"forebay-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.bind((HOST, port))
    except OSError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True
