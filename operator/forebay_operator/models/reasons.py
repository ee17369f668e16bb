"""Reasons that stand in conditions and Events: a closed list, part of the interface.

People alert and script on them, so a reason never changes its meaning. What to do about each stands
in the condition's message and in docs/operator.md.
"""

import enum
from typing import Final

__all__ = ["TO_BE_MENDED", "WAITING", "ConditionReason", "ConditionType"]


class ConditionType(enum.StrEnum):
    """What a condition speaks of, in the order in which an endpoint comes to life."""

    ACCEPTED = "Accepted"
    """The spec can be used."""

    SECRETS_READY = "SecretsReady"
    """Every Secret that it names is there and holds something usable."""

    STREAMS_READY = "StreamsReady"
    """The streams and consumers of its shard are there."""

    RECEIVERS_READY = "ReceiversReady"
    """At least one receiver is ready, and every ready one has the endpoint's latest table."""

    PROCESSORS_READY = "ProcessorsReady"
    """The same for processors."""

    READY = "Ready"
    """All of the above."""

    DESTINATIONS_HEALTHY = "DestinationsHealthy"
    """No destination's breaker is open. No part of Ready: webhooks are taken all the same, and what
    is for others is delivered."""


class ConditionReason(enum.StrEnum):
    """Why a condition is as it is."""

    # --- all is well
    ACCEPTED = "Accepted"
    SECRETS_FOUND = "SecretsFound"
    STREAMS_THERE = "StreamsThere"
    RECEIVERS_SERVE = "ReceiversServe"
    PROCESSORS_WORK = "ProcessorsWork"
    NO_BREAKER_OPEN = "NoBreakerOpen"
    READY = "Ready"

    # --- someone has to do something
    INVALID_SPEC = "InvalidSpec"
    """A field is missing, unknown, or of no use: see the message; correct the resource."""

    HOST_TAKEN = "HostTaken"
    """Another namespace names this host since longer: choose another host."""

    HOST_NOT_ALLOWED = "HostNotAllowed"
    """The installation does not let endpoints name this host: leave it out, or have it added to the
    chart's `limits.hosts`."""

    LIMIT_EXCEEDED = "LimitExceeded"
    """The endpoint asks for more than the installation gives to one: see the message; ask for less,
    or have the chart's `limits` raised."""

    TABLES_FULL = "TablesFull"
    """No table has room for what the endpoint brings: raise the chart's `tables.count`."""

    SHARD_UNKNOWN = "ShardUnknown"
    """The installation has no such shard: name another, or add it to the chart's `shards`."""

    SHARED_NOT_INSTALLED = "SharedNotInstalled"
    """The installation runs no shared receivers: use Dedicated, or turn them on in the chart."""

    PROCESSING_NOT_SUPPORTED = "ProcessingNotSupported"
    """The installation gives no endpoint streams and processors of its own: use
    `processing.isolation: Shared`, or have the chart's `processors.dedicated` turned on."""

    DEDICATED_SHARDS_FULL = "DedicatedShardsFull"
    """As many endpoints as the installation allows have streams of their own: use
    `processing.isolation: Shared`, or have `processors.dedicated.maxDedicatedShards` raised."""

    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    """The endpoint names an image that the installation does not run: have it added to the chart's
    `processors.dedicated.images`."""

    CLIENT_CERTIFICATES_OFF = "ClientCertificatesOff"
    """The endpoint asks for a client certificate and no proxy is trusted with them: set the
    chart's `receivers.clientCertificate.header`."""

    PYTHON_NOT_ALLOWED = "PythonNotAllowed"
    """A destination names a Python module that the installation's processors do not run: have it
    added to the chart's `processors.pythonModules`."""

    SECRET_MISSING = "SecretMissing"  # noqa: S105  # the name of a reason
    """A Secret or a key of it is not there: make it. The endpoint then recovers by itself."""

    SECRET_UNUSABLE = "SecretUnusable"  # noqa: S105  # the name of a reason
    """A value is empty or cannot be what it is for: correct it."""

    SECRETS_WARN = "SecretsWarn"
    """The Secrets are used, and a value looks as if it was stored by mistake, such as one with a
    carriage return at its end: see the message."""

    STREAM_REFUSED = "StreamRefused"
    """NATS answers, but refuses a stream: see the message."""

    STREAM_MISSING = "StreamMissing"
    """A stream or a consumer is gone from NATS: somebody deleted it, or a backup was restored. It
    is made again."""

    NATS_UNREACHABLE = "NatsUnreachable"
    """The operator has no connection to NATS."""

    API_REFUSED = "ApiRefused"
    """The API server refused an object of this endpoint: see the message; tried again."""

    RECEIVERS_WARN = "ReceiversWarn"
    """They serve, and say what should be fixed: see the message."""

    BREAKER_OPEN = "BreakerOpen"
    """Nothing gets through to a destination: check it. What is for it waits; recovers by itself."""

    DESTINATION_REFUSES = "DestinationRefuses"
    """A destination refuses our credentials, or is gone: correct it. What is for it waits."""

    # --- it takes a moment
    NO_POD_READY = "NoPodReady"
    """No pod is ready yet: see `kubectl get pods` in Forebay's namespace if it stays so."""

    TABLE_PENDING = "TablePending"
    """Some ready pod has not read the latest table yet: takes seconds."""

    MOVING = "Moving"
    """The endpoint is on its way to other streams: the message says what that waits for."""

    NOT_REACHED = "NotReached"
    """An earlier condition is false, so this was not checked."""

    DELETING = "Deleting"
    """The endpoint is being deleted."""

    # --- Events only
    DEGRADED = "Degraded"
    """It was ready, and is not any more: the message says why."""

    UPDATED = "Updated"
    """An edit of the spec is taken."""

    ROTATED = "Rotated"
    """A Secret's value changed, and the new one is on its way to the pods."""

    SCHEDULED = "Scheduled"
    """A window of the schedule counts from now on, or none does any more."""

    REPAIRED = "Repaired"
    """Someone else changed or deleted an object of ours, and it was restored."""

    PURGE_GIVEN_UP = "PurgeGivenUp"
    """The endpoint went while NATS was away: what it had in the streams ages out there."""

    DELETED = "Deleted"


WAITING: Final = frozenset(
    {
        ConditionReason.NO_POD_READY,
        ConditionReason.TABLE_PENDING,
        ConditionReason.MOVING,
        ConditionReason.NOT_REACHED,
        ConditionReason.DELETING,
    }
)
"""Reasons that pass by themselves: no warning for a person."""

TO_BE_MENDED: Final = frozenset({ConditionReason.RECEIVERS_WARN, ConditionReason.SECRETS_WARN})
"""Reasons of conditions that are true, of which a person is warned all the same."""
