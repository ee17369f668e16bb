"""The corpus: one made-up webhook per kind, the keys of its items, and the signature vectors."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["APP_SECRET", "PAYLOADS", "PLATFORM_SECRET", "VECTORS", "Payload", "Vector", "payload"]

_DATA = Path(__file__).parents[2] / "data"

APP_SECRET: Final = "example-app-secret"  # made up, public, part of the corpus
PLATFORM_SECRET: Final = "example-platform-secret"  # made up, public, as above

_HASH_WINDOW_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One file of the corpus."""

    name: str
    """The file's name, without `.json`."""

    body: bytes
    """Exactly as a provider would send it."""

    key_patterns: tuple[str, ...]
    """The keys of the body's items, in its order; `{received_at//300}` stands for the time."""

    @property
    def has_timed_keys(self) -> bool:
        """Whether a key depends on the time of arrival."""
        return any("{" in pattern for pattern in self.key_patterns)

    def keys(self, received_at: float = 0.0) -> tuple[str, ...]:
        """Return the keys for a time of arrival in Unix seconds."""
        window = str(int(received_at) // _HASH_WINDOW_SECONDS)
        return tuple(pattern.replace("{received_at//300}", window) for pattern in self.key_patterns)

    def webhook_ids(self, received_at: float = 0.0) -> tuple[str, ...]:
        """Return what destinations get as `webhook-id`: the start of each key's SHA-256."""
        return tuple(
            hashlib.sha256(key.encode()).hexdigest()[:32] for key in self.keys(received_at)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A signature that a provider would send, computed outside of this project."""

    payload: str
    secret: str
    header: str
    value: str


def _load() -> Mapping[str, Payload]:
    keys: dict[str, list[str]] = json.loads((_DATA / "keys.json").read_text(encoding="utf-8"))
    return {
        path.stem: Payload(
            name=path.stem, body=path.read_bytes(), key_patterns=tuple(keys[path.name])
        )
        for path in sorted((_DATA / "payloads").glob("*.json"))
    }


PAYLOADS: Final = _load()
"""All files, by name without `.json`."""

VECTORS: Final = (
    Vector(
        payload="messages-text",
        secret=APP_SECRET,
        header="X-Hub-Signature-256",
        value="sha256=1f1493568c1985c585d53ec781abf43c469b8ac602822c3ebfb1ac6c82c4ea5a",
    ),
    Vector(
        payload="batch-mixed",
        secret=APP_SECRET,
        header="X-Hub-Signature-256",
        value="sha256=d9549610054c659836d71d8fe18276166d98b582a28df9b43ca63807194bccb6",
    ),
    Vector(
        payload="d360-partner-channel-running",
        secret=PLATFORM_SECRET,
        header="x-360dialog-signature",
        value="792eb1650fbdc6cc3085f9e4be60eba295db562a848ddeb3f969bab2be4f3044",
    ),
)
"""The signature vectors of the corpus."""


def payload(name: str) -> Payload:
    """Return one file of the corpus by its name without `.json`."""
    return PAYLOADS[name]
