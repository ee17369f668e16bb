"""Free TCP ports on the loopback interface."""

import random
import socket

__all__ = ["HOST", "free_port", "free_ports"]

HOST = "127.0.0.1"
"""Where everything under test listens."""

_PORTS = range(15_000, 32_000)
"""Below those that systems give to outgoing connections (Linux: from 32768 on): a server that is
restarted under load would find its port taken by one of its own clients."""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now, all different.

    They are held open until all are found, so that none comes twice. Between this call and the use
    of a port another process could take it; among so many that is unlikely, and who finds a port
    taken says so and fails the test.
    """
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            each = socket.socket()
            try:
                # Never the generator that pytest seeds: two runs at once would choose alike.
                each.bind((HOST, random.SystemRandom().choice(_PORTS)))
            except OSError:
                each.close()
            else:
                held.append(each)
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def free_port() -> int:
    """Return one port that nothing listens on now."""
    return free_ports(1)[0]
