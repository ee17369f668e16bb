"""Follows the table files in a folder: reads them at the start and again when they change.

Files are polled, not watched: on a cluster they are mounted Secrets, which the kubelet replaces by
turning a link, and a check of 16 files costs 0.1 ms. That turn makes all of them seem new though
one
changed: a file with the bytes that it had is not decoded again. What changed while a part runs is
read and decoded in a thread, so that the loop goes on serving.

A file that cannot be used is reported in the log and what it said before stays in force: a bad
table must not stop the webhooks that a good one let in.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Generic, NamedTuple

import structlog

from forebay.core.errors import ConfigurationError
from forebay.core.tables import AnyTable, decode_table
from forebay.runtime.log_once import LogOnce
from forebay.runtime.periodic import periodically

__all__ = ["TableFiles"]

_log = structlog.get_logger(__name__)

_Stamp = tuple[int, int, int]


class _Read(NamedTuple, Generic[AnyTable]):
    """What came of reading one file."""

    digest: bytes
    table: AnyTable | None
    """None where it is refused, or holds what it held before."""

    refusal: str


class TableFiles(Generic[AnyTable]):
    """The tables in one folder, by file name."""

    def __init__(
        self,
        folder: Path,
        kind: type[AnyTable],
        on_change: Callable[[Mapping[str, AnyTable]], None],
        poll_seconds: float = 0.5,
    ) -> None:
        self._folder = folder
        self._kind: type[AnyTable] = kind
        self._on_change: Callable[[Mapping[str, AnyTable]], None] = on_change
        self._poll_seconds = poll_seconds
        self._stamps: dict[str, _Stamp] = {}
        self._digests: dict[str, bytes] = {}
        self._tables: dict[str, AnyTable] = {}
        self._missing = LogOnce()
        self._changed_at = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the newest change came into force, or since the start."""
        return time.monotonic() - self._changed_at

    @property
    def is_loaded(self) -> bool:
        """Whether at least one table was read."""
        return bool(self._tables)

    @property
    def generations(self) -> dict[str, str]:
        """The generation in force of each file."""
        return {name: table.generation for name, table in sorted(self._tables.items())}

    def refresh(self) -> bool:
        """Read what changed since the last check; returns whether anything came into force."""
        found = self._list()
        if found == self._stamps:
            return False
        changed = self._take(found, self._read_changed(found))
        if changed is None:
            return False
        self._on_change(changed)
        self._put(changed)
        return True

    async def follow(
        self, apply: Callable[[Mapping[str, AnyTable]], Awaitable[None]] | None = None
    ) -> None:
        """Check again and again; until cancelled.

        Args:
            apply: Puts changed tables into force instead of `on_change`, where that takes time; the
                generations are reported when it is done.
        """

        async def poll() -> None:
            found = self._list()
            if found == self._stamps:
                return
            changed = self._take(found, await asyncio.to_thread(self._read_changed, found))
            if changed is None:
                return
            if apply is None:
                self._on_change(changed)
            else:
                await apply(changed)
            self._put(changed)

        await periodically(poll, self._poll_seconds)

    def _put(self, tables: dict[str, AnyTable]) -> None:
        self._tables = tables
        self._changed_at = time.monotonic()

    def _list(self) -> dict[str, _Stamp]:
        found: dict[str, _Stamp] = {}
        try:
            for path in sorted(self._folder.glob("*.json")):
                facts = path.stat()
                found[path.name] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        except OSError as error:
            # A file that vanished between the listing and the check: the next check shows it.
            _log.debug("table_poll_failed", reason=type(error).__name__)
            return self._stamps
        if not found and self._missing.is_due():
            _log.warning("tables_missing", folder=str(self._folder))
        return found

    def _read_changed(self, found: Mapping[str, _Stamp]) -> dict[str, _Read[AnyTable]]:
        """Read the files whose stamp is new; changes nothing, so it may run in a thread."""
        return {
            name: self._read(name)
            for name, stamp in found.items()
            if self._stamps.get(name) != stamp
        }

    def _read(self, name: str) -> _Read[AnyTable]:
        try:
            data = (self._folder / name).read_bytes()
        except OSError as error:
            return _Read(b"", None, str(error))
        digest = hashlib.sha256(data).digest()
        if digest == self._digests.get(name):
            return _Read(digest, None, "")
        try:
            return _Read(digest, decode_table(data, self._kind), "")
        except ConfigurationError as error:
            return _Read(digest, None, str(error))

    def _take(
        self, found: dict[str, _Stamp], read: Mapping[str, _Read[AnyTable]]
    ) -> dict[str, AnyTable] | None:
        """Take notice of what was read; returns the tables that are to be in force, if changed."""
        self._stamps = found
        tables = {name: table for name, table in self._tables.items() if name in found}
        self._digests = {name: each for name, each in self._digests.items() if name in found}
        changed = len(tables) != len(self._tables)
        for name, each in read.items():
            self._digests[name] = each.digest
            if each.refusal:
                _log.error("table_refused", file=name, reason=each.refusal)
            elif each.table is not None:
                tables[name] = each.table
                changed = True
                _log.info("table_loaded", file=name, generation=each.table.generation)
        return tables if changed else None
