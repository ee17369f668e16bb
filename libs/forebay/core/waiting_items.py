"""What waits in RETRY as its rows tell it, and which of it is meant.

A row says when its item began to wait, and whether the first attempt failed. What came after that
only the processor knows that has its partition (docs/design/0020).
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from forebay.core import envelope
from forebay.core.dead_letters import KEY_DIGITS, UNREADABLE, is_of_message, only_one
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem, readable_item
from forebay.core.subjects import RetrySubject

__all__ = ["WaitingFilter", "WaitingItem"]


class WaitingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One row of RETRY."""

    subject: RetrySubject
    sequence: int
    stored_at: datetime
    headers: Mapping[str, str]
    size: int
    """Bytes of its payload."""

    item: StoredItem | None
    """None where the payload is none."""

    @classmethod
    def read(
        cls,
        subject: str,
        sequence: int,
        stored_at: datetime,
        headers: Mapping[str, str],
        payload: bytes,
    ) -> "WaitingItem":
        """Read a message of RETRY; raises ValueError where its subject is none of RETRY."""
        return cls(
            subject=RetrySubject.parse(subject),
            sequence=sequence,
            stored_at=stored_at,
            headers=headers,
            size=len(payload),
            item=readable_item(payload),
        )

    @property
    def kind(self) -> str:
        """What kind of item it is."""
        return UNREADABLE if self.item is None else self.item.kind

    @property
    def has_failed(self) -> bool:
        """Whether an attempt of it failed before it was stored; else it waits behind others."""
        return envelope.header_number(self.headers, envelope.ATTEMPTS) > 0

    @property
    def since(self) -> datetime:
        """When it was first tried, or could have been; `maxAge` counts from it."""
        return self._time(envelope.FIRST_TRIED_AT) or self.stored_at

    @property
    def due_at(self) -> datetime | None:
        """When it was to be tried next, as it was stored; later pauses are not written down."""
        return self._time(envelope.DUE_AT)

    @property
    def received_at(self) -> datetime | None:
        """When its webhook came."""
        return self._time(envelope.RECEIVED_AT)

    def _time(self, header: str) -> datetime | None:
        millis = envelope.header_number(self.headers, header)
        return datetime.fromtimestamp(millis / 1000, tz=UTC) if millis else None


class WaitingFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are meant; what is None says nothing."""

    endpoint: EndpointName | None = None
    namespaces: frozenset[str] | None = None
    """Of endpoints of these only."""

    destination: str | None = None
    conversation: str | None = None
    """Its token."""

    kind: str | None = None
    wamid: str | None = None
    key: str | None = None
    """The beginning of a `webhook-id`."""

    def subjects(self, shard: str) -> str:
        """Return the wildcard of all subjects of RETRY that can match."""
        whole = self.key is not None and len(self.key) == KEY_DIGITS
        namespace, name = self.endpoint or (only_one(self.namespaces) or "*", "*")
        is_any = namespace == "*" and self.destination is None and self.conversation is None
        if is_any and not whole:
            # Not the same for the server: it need not compare each subject.
            return ">"
        return (
            f"forebay.retry.{shard}.*.*.{namespace}.{name}.{self.destination or '*'}."
            f"{self.conversation or '*'}.{self.key if whole else '*'}"
        )

    def matches(self, row: WaitingItem) -> bool:
        """Say whether a row of these subjects is meant."""
        return (
            (self.namespaces is None or row.subject.endpoint.namespace in self.namespaces)
            and (self.kind is None or row.kind == self.kind)
            and (self.key is None or row.subject.key.startswith(self.key))
            and (self.wamid is None or is_of_message(row.item, self.wamid))
        )
