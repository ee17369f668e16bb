"""Tables and streams for parts that run by themselves: what the operator does on a cluster.

For `forebay tables`. Nothing is served here: if the process dies, the parts go on with the tables
that they have, and the next one writes them anew.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from forebay.core.errors import ConfigurationError
from forebay.local.manifest_set import SHARD, ManifestSet
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay.runtime.jetstream.streams import ShardConfig
from forebay.runtime.periodic import periodically
from forebay.runtime.provision_command import provision
from forebay.runtime.settings import NatsSettings
from forebay.runtime.supervise import end_tasks

__all__ = ["TableWriter"]

POLL_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 1.0


class TableWriter:
    """Keeps the tables of one folder as its manifests are."""

    def __init__(self, files: Sequence[Path], out: Path, environment: Mapping[str, str]) -> None:
        """Name what is read and written; nothing is done yet.

        Args:
            files: Manifests, or folders with some.
            out: The folder that gets `receiver/` and `processor/`.
            environment: Where secrets may stand too.
        """
        self._receiver = out / "receiver"
        self._processor = out / "processor"
        self._manifests = ManifestSet(files, environment, _say)

    def write(self) -> int:
        """Read the manifests and write their tables; returns how many endpoints there are.

        Raises:
            ConfigurationError: with every problem; the tables of before stay as they are.
        """
        tables = self._manifests.load()
        try:
            for folder in (self._receiver, self._processor):
                # Secrets are in there.
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._manifests.write(tables, receiver=self._receiver, processor=self._processor)
        except OSError as error:
            message = f"{error.filename} cannot be written ({error.strerror}): give another --out"
            raise ConfigurationError(message) from error
        return len(tables.manifests.endpoints)

    async def provision(self, nats: NatsSettings) -> None:
        """Make the streams, as soon as NATS is there.

        Raises:
            ConfigurationError: where NATS refuses them.
        """
        is_reported = False
        while True:
            try:
                return await provision(nats, ShardConfig(shard=SHARD))
            except StoreUnavailable as error:
                if not is_reported:
                    _say(f"{error}: waiting for it")
                is_reported = True
                await asyncio.sleep(AGAIN_SECONDS)

    async def follow(self) -> None:
        """Write the tables again whenever a manifest changes, until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        following = asyncio.create_task(periodically(self._refresh, POLL_SECONDS))
        await stop.wait()
        await end_tasks([following])

    def _refresh(self) -> None:
        if not self._manifests.has_changed():
            return
        try:
            count = self.write()
        except ConfigurationError as error:
            _say(f"{error}\nthe tables of before stay in force")
        else:
            _say(f"tables written: {count} endpoints")


def _say(text: str) -> None:
    for line in text.splitlines():
        sys.stderr.write(f"forebay: {line}\n")
    sys.stderr.flush()
