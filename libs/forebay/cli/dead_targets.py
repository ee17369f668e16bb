"""Whether a destination that letters are to be replayed to is one of their endpoints.

Only `dead` uses it. Before anything is done: a letter that is replayed to a destination that is not
there dies at once.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.naming import EndpointName

__all__ = ["check_target"]


def check_target(
    to: str, endpoints: Iterable["EndpointName"], nats_url: str | None, data_dir: Path
) -> None:
    """Make sure that all these endpoints have a destination.

    What there is stands in the processors' tables: in a pod of theirs, and in the data folder of a
    `forebay run`. From anywhere else it cannot be seen, and the processor says so by what becomes
    of the letter.

    Args:
        to: The destination's name.
        endpoints: Of the letters.
        nats_url: As given by `--nats-url`; None where it was not.
        data_dir: Of a `forebay run` that may be meant.

    Raises:
        ConfigurationError: where one of them has no such destination.
    """
    known = _known(nats_url, data_dir)
    if not known:
        return
    for endpoint in sorted(set(endpoints)):
        names = known.get(str(endpoint), ())
        if to in names:
            continue
        if not names:
            message = f"--to {to}: no table names the endpoint {endpoint}: nothing goes there"
            raise ConfigurationError(message)
        near = difflib.get_close_matches(to, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names)}"
        message = f"--to {to}: {endpoint} has no such destination: {hint}"
        raise ConfigurationError(message)


def _known(nats_url: str | None, data_dir: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the destinations of each endpoint; empty where no table can be read."""
    from forebay.core.tables import ProcessorTable, decode_table

    if "FOREBAY_TABLE_DIR" in os.environ:
        folder = Path(os.environ["FOREBAY_TABLE_DIR"])
    elif nats_url is None and "FOREBAY_NATS_URL" not in os.environ:
        folder = data_dir / "tables" / "processor"
    else:
        return {}
    known: dict[str, tuple[str, ...]] = {}
    try:
        for file in sorted(folder.glob("*.json")):
            for endpoint in decode_table(file.read_bytes(), ProcessorTable).endpoints:
                known[str(endpoint.endpoint)] = tuple(each.name for each in endpoint.destinations)
    except (OSError, ConfigurationError):
        return {}
    return known
