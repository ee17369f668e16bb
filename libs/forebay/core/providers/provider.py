"""What has to be known of a provider, so that all parts can serve it.

For the modules of `providers`, and for the types of those who get a provider from the registry.
Nothing in `Provider` has a default: a new one has to say all of it, or the types are in error.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from forebay.core.item import Item
from forebay.core.json_values import Json
from forebay.core.providers.names import ProviderName
from forebay.core.subjects import Lane

__all__ = ["BodyFormat", "Challenge", "EventIds", "Provider", "SignatureScheme"]

EventIds = Literal["body", "headers"]
"""Where the ids stand that distinguish one event from another.

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


class BodyFormat(Protocol):
    """What a provider's bodies are like: how urgent one is, and which items are in it.

    Providers that pass another's webhooks on share its format.
    """

    @property
    def is_one_item(self) -> bool:
        """Whether a body is one item, whatever it holds, and passed on as it stands.

        Then nobody goes through it, its key may be the body's hash, and the number of its values is
        not limited.
        """

    def lane_of(self, body: bytes, encoding: bytes | None = None) -> Lane:
        """Return the lane of a body; never raises: what cannot be read is `invalid`.

        Receivers ask this for every webhook: `core.priority_search_limits` says what it may cost.

        Args:
            body: The bytes as they came.
            encoding: The value of `Content-Encoding`.
        """

    def finding_lane(self, body: bytes) -> Generator[None, None, Lane]:
        """Find the lane of a large body, and give up control after each piece; see `lane_of`."""

    def cut(
        self,
        document: Json,
        *,
        body_sha256: str,
        received_at: float,
        event_id: str | None = None,
        repaired: bool = False,
    ) -> Iterator[Item]:
        """Cut a body that was read into its items, one by one, in the order in which they stand.

        What is no webhook is reported at once, before the first item.

        Args:
            document: The body, decoded.
            body_sha256: The SHA-256 of the body's bytes, in hex; read only where `is_one_item`.
            received_at: When it came, in seconds since the epoch: the same at every redelivery, for
                it is part of some keys.
            event_id: Where ids stand in headers, what distinguishes this event from all others.
            repaired: Whether something in the body could not be represented and was replaced.

        Raises:
            UnreadableBody: where the body is not of this format.
        """

    def sample(self, *, mark: str, time: int, channel: str) -> Json:
        """Return a small body such as the provider sends, for a person to try an endpoint with.

        Args:
            mark: Goes into its id: another one, and the item is a new one.
            time: When it happened, in seconds since the epoch.
            channel: The phone number id of the channel that it is for.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider: how its webhooks are checked, read, distinguished and simulated."""

    name: ProviderName
    signature: SignatureScheme
    body_format: BodyFormat
    event_ids: EventIds
    challenge: Challenge | None
    """What is answered at an endpoint that has a verify token; None for no challenge at all."""

    is_simulated: bool
    """Whether the simulator plays it; then its name is in `SimulatedName`."""
