"""What has to be known of a provider, so that all parts can serve it.

For the modules of `providers`, and for the types of those who get a provider from the registry.
Nothing in `Provider` has a default: a new one has to say all of it, or the types are in error.
"""

from dataclasses import dataclass
from typing import Literal

from forebay.core.providers.names import ProviderName

__all__ = ["Challenge", "EventIds", "Provider", "SignatureScheme"]

EventIds = Literal["body", "headers"]
"""Where the ids stand that tell one event from another.

- `body`: in the items. The provider repeats a webhook byte for byte, so equal bodies are one event.
- `headers`: in a header of the sender's, which `spec.deduplication` names. Without it each POST is
  an event of its own.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureScheme:
    """How a provider signs a body: always an HMAC-SHA256 over its raw bytes, in hex."""

    header: str
    """As the provider spells it."""

    prefix: Literal["required", "optional"]
    """Whether `sha256=` has to stand before the hex digits for receivers to take it."""

    sends_prefix: bool
    """Whether the provider itself writes the prefix, and so the simulator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The GET by which a provider makes sure of a URL; the names are parameters of its query."""

    mode: tuple[str, str]
    """A parameter and the value that makes the request a challenge."""

    verified_by: str
    """Where the endpoint's verify token has to stand."""

    answered_with: str
    """Where the text stands that is the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider: how its webhooks are checked, told apart and played."""

    name: ProviderName
    signature: SignatureScheme
    event_ids: EventIds
    challenge: Challenge | None
    """What is answered at an endpoint that has a verify token; None for no challenge at all."""

    is_simulated: bool
    """Whether the simulator plays it; then its name is in `SimulatedName`."""
