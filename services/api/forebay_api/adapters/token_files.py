"""The tokens in force, from a folder that is followed: on a cluster a Secret, mounted."""

import os
from pathlib import Path

import structlog

from forebay.core.api_tokens import MOST_TOKENS, ApiToken, read_token
from forebay.core.errors import ConfigurationError
from forebay.runtime.log_once import LogOnce

__all__ = ["TokenFiles"]

_log = structlog.get_logger(__name__)

MOST_BYTES = 16 * 1024
"""Of an entry: one of a hundred namespaces has 8 kB."""

_Seen = tuple[tuple[str, int, int], ...]
"""Name, time and size of each file."""


class TokenFiles:
    """The entries of a folder; a file that is none counts as no token, and is logged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: _Seen | None = None
        self._unreadable = LogOnce()
        self.tokens: tuple[ApiToken, ...] = ()
        """Those in force, and those that have expired."""

    def refresh(self) -> None:
        """Read the folder again where something changed.

        Where it cannot be read the tokens stay as they were: a moment in which the kubelet changes
        the mount is not to refuse everybody.
        """
        try:
            seen = self._listing()
            if seen == self._seen:
                return
            tokens = tuple(self._readable(name) for name, _, _ in seen)
        except OSError as error:
            if self._unreadable.is_due(error.errno):
                _log.warning("api_tokens_not_read", reason=error.strerror)
            return
        self._unreadable.reset()
        self._seen = seen
        self.tokens = tuple(token for token in tokens if token is not None)
        _log.info("api_tokens_read", count=len(self.tokens))

    def _listing(self) -> _Seen:
        with os.scandir(self._folder) as found:
            names = sorted(each.name for each in found if each.name.endswith(".json"))
        if len(names) > MOST_TOKENS:
            _log.warning("api_tokens_left_out", count=len(names) - MOST_TOKENS)
        states = [(name, (self._folder / name).stat()) for name in names[:MOST_TOKENS]]
        return tuple((name, state.st_mtime_ns, state.st_size) for name, state in states)

    def _readable(self, name: str) -> ApiToken | None:
        with (self._folder / name).open("rb") as file:
            # One that is longer is cut, and so no entry.
            content = file.read(MOST_BYTES)
        try:
            return read_token(content)
        except ConfigurationError as error:
            _log.warning("api_token_unusable", file=name, reason=str(error))
            return None
