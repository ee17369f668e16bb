"""What a manifest says of a destination `nats`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from forebay.core.field_types import (
    InboxPrefix,
    NatsSubject,
    NatsUrl,
    StreamName,
    UserName,
)
from forebay.core.spec_base import ResourceRecord, SecretSource
from forebay.core.tls_spec import TlsSpec

__all__ = ["NatsSpec"]


class NatsSpec(ResourceRecord):
    """Each item as a CloudEvent, published to a subject of another NATS."""

    url: NatsUrl
    """One or several servers of a cluster, separated by commas. `tls://` asks for TLS."""

    subject: NatsSubject
    """Words with dots between them; `{kind}` and others of `nats_subject.PLACES` stand for what an
    item is."""

    mode: Literal["Structured", "Binary"] = "Structured"
    """By the NATS binding of CloudEvents: the whole event as the message, or its data, with its
    attributes in headers."""

    acknowledge: Literal["Stream", "Server"] = "Stream"
    """What counts as delivered: that a stream has stored it, or that a server has taken it."""

    stream: StreamName | None = None
    """The only stream that may have stored it; left out for any."""

    user: UserName | None = None
    password: SecretSource | None = None
    token: SecretSource | None = None
    credentials: SecretSource | None = None
    """A file with a JWT and a seed, as `nsc` writes it."""

    inbox_prefix: InboxPrefix = "_INBOX"
    """Where answers come in, for users who may subscribe to their own inboxes only."""

    tls: TlsSpec | None = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    max_in_flight: Annotated[int, Field(ge=1, le=1024)] = 64
    """Messages in flight, shared by the processors."""

    rate_per_second: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """Messages a second; 0 for no limit."""

    @model_validator(mode="after")
    def _logs_in_one_way(self) -> Self:
        if (self.user is None) != (self.password is None):
            message = "`user` and `password` belong together: give both or none"
            raise ValueError(message)
        if sum(way is not None for way in (self.user, self.token, self.credentials)) > 1:
            message = "give one of `user` with `password`, `token` and `credentials`, or none"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _names_a_stream_that_answers(self) -> Self:
        if self.stream is not None and self.acknowledge == "Server":
            message = (
                "no stream answers with `acknowledge: Server`: remove `stream` or `acknowledge`"
            )
            raise ValueError(message)
        return self
