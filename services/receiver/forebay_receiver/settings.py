"""The receiver's settings: `FOREBAY_RECEIVER_*`."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["ReceiverSettings"]

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]


class ReceiverSettings(BaseSettings):
    """How one receiver process serves."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_RECEIVER_", frozen=True)

    host: str = "0.0.0.0"  # noqa: S104  # a container is reached by its Service
    """Where webhooks come in."""

    port: Port = 8080

    admin_host: str = "0.0.0.0"  # noqa: S104  # the kubelet and Prometheus come from outside
    """Where probes and metrics are served; no route from outside the cluster leads here."""

    admin_port: Port = 9090

    budget_seconds: Seconds = 2.5
    """From a request's first byte to its answer: half of the 5 s after which 360dialog gives a
    webhook up, so that a gateway before us still has time."""

    body_seconds: Seconds = 2.0
    """For a body to arrive: the providers send from data centres; who needs longer holds a place
    that others need."""

    max_body_bytes: Positive = 4 * 1024 * 1024
    """The providers' largest body is 3 MB."""

    max_connection_seconds: Seconds = 300.0
    """Age of a connection after which its next answer closes it, so that new replicas get their
    share of the traffic."""

    max_in_flight: Positive = 2048
    """Requests of all endpoints that are being read or stored at one time. At 1,000 webhooks/s and
    the budget of 2.5 s more would wait only to be refused."""

    max_in_flight_bytes: Positive = 128 * 1024 * 1024
    """Bytes of bodies held at one time: bounds the memory of the process."""

    drain_seconds: Annotated[float, Field(ge=0)] = 5.0
    """After SIGTERM, how long to go on serving: load balancers need a moment to look elsewhere.
    Lower than the pod's `terminationGracePeriodSeconds` by the budget at least."""
