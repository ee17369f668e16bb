"""Manifests become tables: at the start, and again whenever a file changes.

A change that cannot be used is reported, and what was in force stays so: a typing error in an
editor must not stop the webhooks of all other endpoints.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forebay.core.compile import build_tables
from forebay.core.errors import ConfigurationError
from forebay.core.tables import ProcessorTable, ReceiverTable, encode_table
from forebay.core.validation_errors import InvalidEndpoint, Problem
from forebay.local.folder import write_private
from forebay.local.manifests import InvalidManifests, Manifests, load_manifests, manifest_files

__all__ = ["SHARD", "CompiledTables", "ManifestSet"]

SHARD: Final = "0"
"""One machine has one set of streams, whatever shard a manifest names for a cluster."""

_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledTables:
    """The manifests in force and what was made of them."""

    manifests: Manifests
    receiver: ReceiverTable
    processor: ProcessorTable


class ManifestSet:
    """The endpoints of a run."""

    def __init__(
        self, paths: Sequence[Path], environment: Mapping[str, str], warn: Callable[[str], None]
    ) -> None:
        """Name the files and folders with manifests; `load` reads them.

        Args:
            paths: The files and folders.
            environment: Where secrets may stand too.
            warn: Takes what is used though it looks like a mistake.
        """
        self._paths = tuple(paths)
        self._environment = environment
        self._warn = warn
        self._stamp: _Stamp = ()

    def load(self) -> CompiledTables:
        """Read the manifests and make the tables.

        Raises:
            ConfigurationError: with every problem, one line each.
        """
        self._stamp = self._read_stamp()
        manifests = load_manifests(self._paths, self._environment)
        warnings: list[Problem] = []
        try:
            receiver, processor = build_tables(
                manifests.endpoints, manifests.secrets, shard=SHARD, warnings=warnings
            )
        except InvalidEndpoint as error:
            lines = [manifests.describe(problem) for problem in error.problems]
            raise InvalidManifests(lines) from error
        if misleading := manifests.secrets.misleading_variables():
            raise InvalidManifests(misleading)
        for warning in warnings:
            self._warn(manifests.describe(warning))
        return CompiledTables(manifests=manifests, receiver=receiver, processor=processor)

    def has_changed(self) -> bool:
        """Say whether any file changed, came or went since the last `load`."""
        return self._read_stamp() != self._stamp

    def write(self, tables: CompiledTables, *, receiver: Path, processor: Path) -> None:
        """Put the tables into the folders where the parts read them."""
        # The processor first: it should know an endpoint before the first webhook of it comes.
        write_private(processor / "endpoints-00.json", encode_table(tables.processor))
        write_private(receiver / "routes-00.json", encode_table(tables.receiver))

    def _read_stamp(self) -> _Stamp:
        try:
            files = manifest_files(self._paths)
            facts = [(str(file), file.stat()) for file in files]
        except (OSError, ConfigurationError):
            return ()  # an editor may be replacing a file: the next reading or `load` says
        return tuple((name, fact.st_mtime_ns, fact.st_size, fact.st_ino) for name, fact in facts)
