"""Free TCP ports on the loopback interface."""

import socket

__all__ = ["HOST", "free_port", "free_ports"]

HOST = "127.0.0.1"
"""Where everything under test listens."""


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on now, all different.

    They are held open until all are found, so that the kernel gives none twice. Between this call
    and the use of a port another process could take it; the kernel hands ports out in an order
    that makes that unlikely, and who finds a port taken says so and fails the test.
    """
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def free_port() -> int:
    """Return one port that nothing listens on now."""
    return free_ports(1)[0]
