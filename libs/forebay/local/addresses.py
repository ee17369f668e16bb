"""Where the parts of a run listen, and that these places are free."""

import errno
from dataclasses import dataclass

from forebay.core.errors import ConfigurationError
from forebay.runtime.process_start import open_listener

__all__ = ["Address", "check_free"]

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  # compared here, not bound


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The URL by which this machine reaches it."""
        host = "127.0.0.1" if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def check_free(address: Address, option: str) -> None:
    """Make sure that a part will be able to listen there.

    Args:
        address: Where.
        option: The option of the command that changes it.

    Raises:
        ConfigurationError: where it will not.
    """
    try:
        # As the servers do: connections of a run that has just ended are no hindrance.
        open_listener(address.host, address.port).close()
    except OSError as error:
        raise ConfigurationError(_described(address, option, error)) from error


def _described(address: Address, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {address.port} on {address.host} is taken: stop what listens there, or choose "
            f"another with {option}"
        )
    if error.errno == errno.EACCES:
        return f"port {address.port} is not for this user: choose one above 1023 with {option}"
    reason = error.strerror or type(error).__name__
    return (
        f"nothing can listen on {address.host} port {address.port} ({reason}): choose another "
        f"place with --host or {option}"
    )
