"""The real nats-server for tests: own port, own store, and it can be killed and come back."""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import nats
from nats.aio.client import Client

from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.timing.wait import eventually

__all__ = ["NatsServer", "nats_server_program", "settled", "stores_in"]

_CONFIG = """\
server_name: {name}
listen: "{address}"
# As the receiver's limit on a body (4 MiB) and its headers ask for; the server's default is 1 MiB.
max_payload: {max_payload}
jetstream {{
  store_dir: "{store}"
  {limit}
  {sync}
}}
{extra}
"""


def nats_server_program() -> str:
    """Return the nats-server that the `local` extra installs, else one on the PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    if beside.exists():
        return str(beside)
    found = shutil.which("nats-server")
    if found is None:
        message = "nats-server is missing: install the `local` extra (`make init`)"
        raise AssertionError(message)
    return found


_stores_in: list[Path] = []


@contextlib.contextmanager
def stores_in(folder: Path) -> Iterator[None]:
    """Let the stores of servers that are made within the block be in a folder of this one."""
    _stores_in.append(folder)
    try:
        yield
    finally:
        _stores_in.remove(folder)


async def settled(client: Client) -> None:
    """Wait until the server has all that a client sent before.

    nats-py's `flush` is not for that: it can leave its client deaf.
    """
    await client.request("$JS.API.INFO", timeout=5)


class NatsServer:
    """One nats-server with JetStream; its port and store outlive a restart."""

    def __init__(  # noqa: PLR0913  # each is one setting of a server
        self,
        folder: Path,
        *,
        name: str = "forebay-test",
        max_file_store: str | None = None,
        max_payload: int = 8 * 1024 * 1024,
        sync_always: bool = False,
        config: str = "",
        host: str = HOST,
    ) -> None:
        """Prepare a server; nothing runs before `start` or `async with`.

        Args:
            folder: Where its configuration, log and store go; the store elsewhere in `stores_in`.
            name: How it is called in a cluster.
            max_file_store: JetStream's limit on disk, such as `64MB`; the server's own by default.
            max_payload: Bytes of the largest message; may be changed before a restart.
            sync_always: Whether every message is flushed to disk before its answer, and not every
                two minutes.
            config: Further lines of the server's configuration.
            host: The address where it listens.
        """
        self.folder = folder
        self.name = name
        self.host = host
        self.port = free_port()
        self.max_payload = max_payload
        self._store = Path(tempfile.mkdtemp(dir=_stores_in[-1])) if _stores_in else folder / "store"
        self._config = folder / "nats-server.conf"
        self.patience_seconds = 15.0
        """How long a start or an end may take: it syncs its store first."""

        self._limit = "" if max_file_store is None else f"max_file_store: {max_file_store}"
        self._sync = "sync_interval: always" if sync_always else ""
        self._extra = config
        self._program = Program("nats-server", folder / "nats-server.log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"nats://{host}:{self.port}"

    @property
    def store(self) -> Path:
        """The folder with its streams."""
        return self._store

    @property
    def log(self) -> Path:
        """The file with the server's log."""
        return self._program.log

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._program.running

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._program.pid

    async def start(self) -> None:
        """Start the server and wait until it greets clients with JetStream on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            _CONFIG.format(
                name=self.name,
                address=self.url.removeprefix("nats://"),
                max_payload=self.max_payload,
                store=self._store,
                limit=self._limit,
                sync=self._sync,
                extra=self._extra,
            )
        )
        self._program.launch(
            [nats_server_program(), "--config", str(self._config)], cwd=self.folder
        )
        await eventually(
            self._greets,
            within=self.patience_seconds,
            saying=f"nats-server to listen (its log: {self.log})",
        )

    async def stop(self) -> None:
        """Ask the server to leave (SIGTERM) and wait until it did."""
        await self._program.end(signal.SIGTERM, within=self.patience_seconds)

    async def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        await self._program.end(signal.SIGKILL, within=self.patience_seconds)

    async def restart(self) -> None:
        """Stop the server and start it again on the same port and store."""
        await self.stop()
        await self.start()

    def leave_clients(self) -> None:
        """Enter lame duck mode (SIGUSR2): clients are sent elsewhere, then the server leaves."""
        self._program.send(signal.SIGUSR2)

    def freeze(self) -> None:
        """Stop the process in its tracks (SIGSTOP): connections stay, answers do not come."""
        self._program.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._program.send(signal.SIGCONT)

    @contextlib.asynccontextmanager
    async def client(self, credentials: Path | None = None) -> AsyncIterator[Client]:
        """Give a connection that is closed at the end of the block."""
        client = await nats.connect(
            self.url,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.05,
            user_credentials=None if credentials is None else str(credentials),
        )
        try:
            yield client
        finally:
            await client.close()

    async def __aenter__(self) -> Self:
        """Start the server, unless it runs already."""
        if not self.running:
            await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server at once: its store is thrown away with the test's folder."""
        if self.running:
            await self.kill()

    async def _greets(self) -> bool:
        """Say whether the server's first line (INFO) says that JetStream is on."""
        self._program.check()
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        try:
            async with asyncio.timeout(1):
                line = await reader.readline()
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        verb, _, info = line.partition(b" ")
        return verb == b"INFO" and bool(json.loads(info).get("jetstream"))
