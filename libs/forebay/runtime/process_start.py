"""What every part's process does at its start: listen, and settle the garbage collector."""

import errno
import gc
import socket
import sys
from pathlib import Path
from typing import Final

from forebay.core.errors import ConfigurationError
from forebay.core.tolerant_json import INTEGER_DIGITS

__all__ = [
    "LISTEN_BACKLOG",
    "RELOAD_STATUS",
    "bound_integers",
    "listen",
    "open_listener",
    "place_of_listener",
    "settle_garbage_collector",
]

LISTEN_BACKLOG: Final = 2048
"""Connections that wait to be taken: a rollout brings many at once."""

RELOAD_STATUS: Final = 75
"""The exit status of a part that wants to be started again because its code has changed:
EX_TEMPFAIL of sysexits.h."""

GC_THRESHOLD: Final = 50_000
"""Objects between two collections of the youngest generation. Webhooks and items make no cycles:
reference counts free them, and every collection is a pause (p99 32 ms without this, 6 ms with)."""


def listen(host: str, port: int, variable: str) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: An address or a name; `::` stands for every address of both families.
        port: 0 for any that is free.
        variable: The setting that the error names.

    Raises:
        ConfigurationError: where the address cannot be listened on.
    """
    try:
        return open_listener(host, port)
    except OSError as error:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        message = f"{where} cannot be listened on ({error.strerror}): set {variable}"
        raise ConfigurationError(message) from error


def open_listener(host: str, port: int, *, has_both: bool | None = None) -> socket.socket:
    """Return a socket that listens, for `::` on every address of both families.

    A host without IPv6 listens on those of IPv4 then: who asks for all gets all that there are.

    Args:
        host: An address or a name.
        port: 0 for any that is free.
        has_both: Whether this host can do both families with one socket; by default it is asked.

    Raises:
        OSError: where the address cannot be listened on.
    """
    if host not in {"::", ""}:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    if socket.has_dualstack_ipv6() if has_both is None else has_both:
        try:
            return socket.create_server(
                ("::", port),
                family=socket.AF_INET6,
                backlog=LISTEN_BACKLOG,
                dualstack_ipv6=True,
            )
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
    return socket.create_server(("0.0.0.0", port), backlog=LISTEN_BACKLOG)  # noqa: S104  # as asked


_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def place_of_listener(listening: socket.socket) -> str:
    """Return a name for where a process listens, that no two live processes can have.

    A kernel lets one process listen on an address and port of a network namespace. So who comes
    with the same name comes after the one who had it before has ended. The host's name, which is a
    pod's, is for sandboxes and copied machines that all have the same boot id and namespace.
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


def bound_integers() -> None:
    """Have no integer of very many digits made of a body: it is passed on as it stands.

    To make and to write them takes time with the square of their digits: at Python's own limit of
    4,300 a body of 4 MiB takes 0.7 s to write, in one step, and with this one 6 ms.
    """
    sys.set_int_max_str_digits(INTEGER_DIGITS)
