"""The machine's real PostgreSQL for tests: own data, own port, a user of its own, no sockets.

It runs as the user `postgres` where the tests are root, for it refuses to be root; so its data are
in a folder that this user can reach.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
from typing_extensions import override

from forebay.core.tables import Batch, HttpTls, PostgresTarget
from support.programs.authority import Certificate
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.programs.scope import Scope
from support.timing.wait import eventually

__all__ = ["PASSWORD", "USER", "PostgresServer", "needs_postgres"]

USER: Final = "forebay"
PASSWORD: Final = "p@ss/word:1"  # made up: what a URL has to escape

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # Linux' file system in memory
_IS_THERE: Final = _MEMORY.is_dir()

_ROOT: Final = "postgres"
_QUICK: Final = Batch(max_wait_seconds=0.02)


def _programs() -> Path | None:
    """Return where the server's programs are: the newest that Debian has installed, or the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = found[-1] if found else shutil.which("initdb")
    return None if path is None else Path(path).resolve().parent


_BIN: Final = _programs()

needs_postgres = pytest.mark.skipif(
    _BIN is None, reason="no PostgreSQL server on this machine: apt-get install postgresql"
)


def _as_other_user() -> tuple[str, ...]:
    if os.getuid() != 0:
        return ()
    return ("setpriv", f"--reuid={_ROOT}", f"--regid={_ROOT}", "--clear-groups")


class PostgresServer(Scope):
    """One server; its port and its data outlive a restart."""

    def __init__(
        self, folder: Path, *, certificate: Certificate | None = None, **settings: str
    ) -> None:
        """Prepare; nothing runs before `async with`.

        Args:
            folder: Where its log goes.
            certificate: Of its TLS; none without. Then TLS is all that it takes.
            settings: Of `postgresql.conf`.
        """
        super().__init__()
        self.port = free_port()
        self._certificate = certificate
        # What a killed server has written stays in the system's cache; only a machine loses it.
        self._settings = {"fsync": "off", "max_connections": "60", **settings}
        self._program = Program("postgres", folder / f"postgres-{self.port}.log")
        self._folder = Path()

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        inside = _MEMORY if _IS_THERE and self._settings["fsync"] == "off" else None
        self._folder = Path(
            cleanup.enter_context(tempfile.TemporaryDirectory(prefix="forebay-pg-", dir=inside))
        )
        self._make()
        cleanup.push_async_callback(self.stop)
        await self.start()
        async with self.client(user=_ROOT, database="postgres") as root:
            escaped = PASSWORD.replace("'", "''")
            await root.execute(f"create role {USER} login password '{escaped}'")
            await root.execute(f"create database {USER} owner {USER}")

    def _make(self) -> None:
        assert _BIN is not None
        data = self._folder / "data"
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._certificate is not None:
            (self._folder / "server.pem").write_text(self._certificate.pem)
            (self._folder / "server.key").write_text(self._certificate.key)
        if os.getuid() == 0:
            owner = pwd.getpwnam(_ROOT)
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, owner.pw_uid, owner.pw_gid)
                path.chmod(0o700)
        subprocess.run(
            [
                *_as_other_user(), str(_BIN / "initdb"), "-D", str(data), "-U", _ROOT, "-N",
                "-E", "UTF8", "--no-locale", "-A", "scram-sha-256", f"--pwfile={password}",
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
        )  # fmt: skip
        if self._certificate is not None:
            rule = f"hostssl all all {HOST}/32 scram-sha-256\n"
            (data / "pg_hba.conf").write_text(rule)

    # The program

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        assert _BIN is not None
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        if self._certificate is not None:
            settings["ssl"] = "on"
            settings["ssl_cert_file"] = str(self._folder / "server.pem")
            settings["ssl_key_file"] = str(self._folder / "server.key")
        given = [part for each in settings.items() for part in ("-c", "=".join(each))]
        # Killed without its children, it leaves a lock in memory that the next start minds.
        arguments = [*_as_other_user(), str(_BIN / "postgres"), "-D", str(self._folder / "data")]
        self._program.launch([*arguments, *given], cwd=self._folder)

        async def answers() -> bool:
            self._program.check()
            try:
                async with self.client(user=_ROOT, database="postgres"):
                    return True
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await eventually(answers, within=30, saying="PostgreSQL to answer")

    async def stop(self) -> None:
        """End it as a restart does: connections are cut, what is committed is kept."""
        if self._program.running:
            await self._program.end(signal.SIGINT, within=30)

    async def kill(self) -> None:
        """Kill it; its children notice by themselves."""
        children = _children(self._program.pid)
        await self._program.end(signal.SIGKILL, within=30)
        await eventually(
            lambda: not any(Path(f"/proc/{child}/stat").exists() for child in children),
            within=30,
            saying="the killed server's children to leave",
        )

    # Who uses it

    @contextlib.asynccontextmanager
    async def client(
        self, *, user: str = USER, database: str = USER
    ) -> AsyncIterator[Any]:  # asyncpg ships no types
        """Give a connection beside what is tested."""
        connection = await asyncpg.connect(
            host=HOST,
            port=self.port,
            user=user,
            password=PASSWORD,
            database=database,
            ssl="require" if self._certificate is not None else False,
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def rows(self, schema: str, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query in a schema."""
        async with self.client() as connection:
            await connection.execute(f"set search_path = {schema}")
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def value(self, schema: str, query: str, *arguments: object) -> Any:  # noqa: ANN401  # of any type
        """Return the first value of a query in a schema."""
        ((value, *_), *_) = await self.rows(schema, query, *arguments)
        return value

    async def as_root(self, statements: str, schema: str = "public") -> None:
        """Run statements in a schema as the database's administrator."""
        async with self.client(user=_ROOT) as connection:
            await connection.execute(f"set search_path = {schema}; {statements}")

    def target(  # noqa: PLR0913  # each is one setting of a destination
        self,
        schema: str,
        *,
        port: int | None = None,
        password: str = PASSWORD,
        user: str = USER,
        tls: HttpTls | None = None,
        hosts: tuple[tuple[str, int], ...] = (),
        retention_days: int = 0,
        timeout_seconds: float = 5.0,
        max_in_flight: int = 4,
        batch: Batch = _QUICK,
    ) -> PostgresTarget:
        """Return a destination's settings."""
        return PostgresTarget(
            hosts=hosts or ((HOST, port or self.port),),
            database=USER,
            user=user,
            password=password,
            tls=tls,
            schema=schema,
            retention_days=retention_days,
            timeout_seconds=timeout_seconds,
            max_in_flight=max_in_flight,
            batch=batch,
        )


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
