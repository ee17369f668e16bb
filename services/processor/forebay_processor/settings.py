"""The processor's settings: `FOREBAY_PROCESSOR_*`."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["ProcessorSettings"]


class ProcessorSettings(BaseSettings):
    """How one processor process works."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_PROCESSOR_", frozen=True)

    admin_host: str = "0.0.0.0"  # noqa: S104  # the kubelet and Prometheus come from outside
    """Where probes and metrics are served; no route from outside the cluster leads here."""

    admin_port: Annotated[int, Field(ge=0, le=65535)] = 9090

    batch: Annotated[int, Field(gt=0, le=1000)] = 256
    """Messages asked for at a time from each consumer: one by one was measured 6 times slower,
    and larger batches gained nothing."""

    store_seconds: Annotated[float, Field(gt=0)] = 5.0
    """For JetStream to answer a publish; nobody waits for it but the next batch."""

    stop_seconds: Annotated[float, Field(ge=0)] = 10.0
    """After SIGTERM, or before a partition goes to another processor, for deliveries under way to
    end; what does not is delivered again by the next owner."""

    watchdog_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Without one answer of NATS for so long, after it was there, the process ends: a fresh one may
    find what this one cannot."""

    retention_check_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between two looks at how full RAW and EVENTS are."""
