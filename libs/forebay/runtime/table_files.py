"""Follows the table files in a folder: reads them at the start and again when they change.

Files are polled, not watched: on a cluster they are mounted Secrets, which the kubelet replaces by
turning a link, and a look at 16 files costs 0.1 ms. A file that cannot be used is told in the log
and what it said before stays in force: a bad table must not stop the webhooks that a good one let
in.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic

import structlog

from forebay.core.errors import ConfigurationError
from forebay.core.tables import AnyTable, decode_table

__all__ = ["TableFiles"]

_log = structlog.get_logger(__name__)

_Stamp = tuple[int, int, int]


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
        self._tables: dict[str, AnyTable] = {}
        self._folder_missing = False

    @property
    def is_loaded(self) -> bool:
        """Whether at least one table was read."""
        return bool(self._tables)

    @property
    def generations(self) -> dict[str, str]:
        """The generation in force of each file."""
        return {name: table.generation for name, table in sorted(self._tables.items())}

    def refresh(self) -> bool:
        """Read what changed since the last look; returns whether anything came into force."""
        found = self._list()
        if found == self._stamps:
            return False
        changed = False
        for name in self._tables.keys() - found.keys():
            del self._tables[name]
            changed = True
        for name, stamp in found.items():
            if self._stamps.get(name) != stamp:
                changed |= self._read(name)
        self._stamps = found
        if changed:
            self._on_change(dict(self._tables))
        return changed

    async def follow(self) -> None:
        """Look again and again; until cancelled."""
        while True:
            await asyncio.sleep(self._poll_seconds)
            self.refresh()

    def _list(self) -> dict[str, _Stamp]:
        found: dict[str, _Stamp] = {}
        try:
            for path in sorted(self._folder.glob("*.json")):
                facts = path.stat()
                found[path.name] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        except OSError as error:
            # A file that vanished between the listing and the look: the next look tells.
            _log.debug("table_look_failed", reason=type(error).__name__)
            return self._stamps
        if not found and not self._folder_missing:
            self._folder_missing = True
            _log.warning("tables_missing", folder=str(self._folder))
        return found

    def _read(self, name: str) -> bool:
        try:
            table = decode_table((self._folder / name).read_bytes(), self._kind)
        except (ConfigurationError, OSError) as error:
            _log.error("table_refused", file=name, reason=str(error))
            return False
        self._tables[name] = table
        _log.info("table_loaded", file=name, generation=table.generation)
        return True
