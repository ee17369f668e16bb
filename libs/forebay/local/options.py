"""What a person can choose of a `forebay run`, and what is started as each part."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forebay.local.addresses import Address

__all__ = ["ADMIN_HOST", "Options", "Programs"]

ADMIN_HOST: Final = "127.0.0.1"
"""The admin pages are for this machine, whoever may reach the webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person can choose."""

    files: tuple[Path, ...]
    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    admin_port: int = 9090
    processor_admin_port: int = 9091
    nats_url: str | None = None
    """A NATS that runs already; None for one of this run's own."""

    log_level: str = "info"

    @property
    def receiver(self) -> Address:
        """Where webhooks come in."""
        return Address(self.host, self.port)

    @property
    def receiver_admin(self) -> Address:
        """Where the receiver's health and metrics are."""
        return Address(ADMIN_HOST, self.admin_port)

    @property
    def processor_admin(self) -> Address:
        """Where the processor's health and metrics are."""
        return Address(ADMIN_HOST, self.processor_admin_port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What is started as each part."""

    receiver: tuple[str, ...] = (sys.executable, "-m", "forebay", "receiver")
    processor: tuple[str, ...] = (sys.executable, "-m", "forebay", "processor")
