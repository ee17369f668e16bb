"""Webhooks from files, sent byte for byte, in turns."""

import itertools
from pathlib import Path

from forebay.core.errors import ConfigurationError
from forebay_simulator.expected_keys import item_keys
from forebay_simulator.payloads import Payload

__all__ = ["FolderPayloads"]


class FolderPayloads:
    """The JSON files of a folder, by name, from the start again after the last."""

    takes_turns = True

    def __init__(self, folder: Path) -> None:
        """Read all files.

        Raises:
            ConfigurationError: where the folder has no JSON files, or they cannot be read.
        """
        self._turns = itertools.cycle(_load(folder))

    def take(self, elapsed: float) -> Payload:  # noqa: ARG002  # files have a time of their own
        """Return the next webhook."""
        return next(self._turns)


def _load(folder: Path) -> list[Payload]:
    try:
        bodies = [path.read_bytes() for path in sorted(folder.glob("*.json"))]
    except OSError as error:
        message = f"the payloads in {folder} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    if not bodies:
        message = f"there are no .json files in {folder}: name a folder with one webhook per file"
        raise ConfigurationError(message)
    # Two files with the same bytes are one webhook, and an item that stands in two files is one
    # item: that is how the receiving side counts, too.
    numbers: dict[bytes, int] = {}
    seen: set[str] = set()
    payloads = []
    for body in bodies:
        keys = item_keys(body)
        payloads.append(
            Payload(numbers.setdefault(body, len(numbers)), body, keys, len(set(keys) - seen))
        )
        seen.update(keys)
    return payloads
