"""The headers that a provider sends with a webhook: its signature, and what was registered."""

from typing import Final

from forebay.core.providers.names import SimulatedName
from forebay.core.providers.registry import provider_of
from forebay.core.signatures import SIGNATURE_PREFIX, sign

__all__ = ["ProviderHeaders"]

_BASE: Final = (("Content-Type", "application/json"), ("User-Agent", "forebay-simulator"))


class ProviderHeaders:
    """Makes the headers of each webhook of a run."""

    def __init__(
        self, provider: SimulatedName, secret: str | None, headers: tuple[tuple[str, str], ...]
    ) -> None:
        """Encode what is the same for all webhooks."""
        own = {name.lower() for name, _ in headers}
        base = [each for each in _BASE if each[0].lower() not in own]
        self._same = "".join(f"{name}: {value}\r\n" for name, value in (*base, *headers)).encode()
        self._secret = secret
        scheme = provider_of(provider).signature
        self._name = scheme.header
        self._prefix = SIGNATURE_PREFIX if scheme.sends_prefix else ""

    def for_body(self, body: bytes) -> bytes:
        """Return the headers of a webhook with this body: whole lines, each with its line end."""
        if self._secret is None:
            return self._same
        signature = f"{self._name}: {self._prefix}{sign(self._secret, body)}\r\n"
        return self._same + signature.encode()
