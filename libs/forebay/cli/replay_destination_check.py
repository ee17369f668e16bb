"""Whether a destination that letters are to be replayed to is one of their endpoints.

Only `dead` uses it. Before anything is done: a letter that is replayed to a destination that is not
there dies at once.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.cli.nats_session import nats_of_run
from forebay.core.errors import ConfigurationError
from forebay.core.near_names import nearest_name

if TYPE_CHECKING:
    from forebay.core.endpoint_name import EndpointName

__all__ = ["check_target"]


async def check_target(
    to: str, endpoints: Iterable["EndpointName"], nats_url: str | None, data_dir: Path
) -> None:
    """Make sure that all these endpoints have a destination.

    What there is stands in the processors' tables: in a pod of theirs, and in the data folder of a
    `forebay run`. From anywhere else it cannot be seen, and the processor says so by what becomes
    of the letter. Tables of another installation than that whose NATS is used are not asked.

    Args:
        to: The destination's name.
        endpoints: Of the letters.
        nats_url: As given by `--nats-url`; None where it was not.
        data_dir: Of a `forebay run` that may be meant.

    Raises:
        ConfigurationError: where one of them has no such destination.
        ForebayError: where a run has the data folder and its NATS does not answer.
    """
    folder = await _tables(nats_url, data_dir)
    if folder is None:
        return
    known, all_read = _known(folder)
    for endpoint in sorted(set(endpoints)):
        names = known.get(str(endpoint), ())
        if to in names:
            continue
        if not names:
            if not all_read:
                continue
            message = (
                f"--to {to}: no table in {folder} names the endpoint {endpoint}: nothing goes there"
            )
            raise ConfigurationError(message)
        near = nearest_name(to, names)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(names)}"
        message = f"--to {to}: {endpoint} has no such destination in {folder}: {hint}"
        raise ConfigurationError(message)


async def _tables(nats_url: str | None, data_dir: Path) -> Path | None:
    """Return the folder with the tables of the processors behind the NATS that is used.

    None where nothing says which tables belong to it: those that an earlier run left in the data
    folder do not.
    """
    from forebay.local.folder import DataFolder

    if nats_url is not None:
        return None
    if await nats_of_run(nats_url, data_dir) is not None:
        return DataFolder(data_dir).processor_tables
    folder = os.environ.get("FOREBAY_TABLE_DIR")
    return Path(folder) if folder else None


def _known(folder: Path) -> tuple[Mapping[str, tuple[str, ...]], bool]:
    """Return the destinations of each endpoint, and whether every table could be read.

    A table that cannot be read, or a folder without one, says nothing of an endpoint that no other
    table names; what the other tables name is known all the same.
    """
    from forebay.core.tables import ProcessorTable, decode_table

    known: dict[str, tuple[str, ...]] = {}
    files = sorted(folder.glob("*.json"))
    all_read = bool(files)
    for file in files:
        try:
            table = decode_table(file.read_bytes(), ProcessorTable)
        except (OSError, ConfigurationError):
            all_read = False
            continue
        for endpoint in table.endpoints:
            known[str(endpoint.endpoint)] = tuple(each.name for each in endpoint.destinations)
    return known, all_read
