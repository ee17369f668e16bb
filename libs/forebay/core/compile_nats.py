"""From a manifest's destination `nats` to what processors get of it."""

from forebay.core.compile_tls import tls_record
from forebay.core.nats_spec import NatsSpec
from forebay.core.nats_target import NatsTarget
from forebay.core.secret_value_checks import SecretValues
from forebay.core.spec_base import SecretSource
from forebay.core.validation_errors import Path

__all__ = ["nats_target"]


def nats_target(values: SecretValues, path: Path, spec: NatsSpec) -> NatsTarget:
    """Return the target; a Secret that cannot be used is noted in `values`."""

    def text(field: str, source: SecretSource | None) -> str:
        return "" if source is None else values.text((*path, field), source)

    credentials = ""
    if spec.credentials is not None:
        credentials = values.nats_credentials((*path, "credentials"), spec.credentials)
    return NatsTarget(
        urls=tuple(spec.url.split(",")),
        subject=spec.subject,
        mode=spec.mode,
        acknowledge=spec.acknowledge,
        stream=spec.stream or "",
        user=spec.user or "",
        password=text("password", spec.password),
        token=text("token", spec.token),
        credentials=credentials,
        inbox_prefix=spec.inbox_prefix,
        tls=None if spec.tls is None else tls_record(values, (*path, "tls"), spec.tls),
        timeout_seconds=spec.timeout_seconds,
        max_in_flight=spec.max_in_flight,
        rate_per_second=spec.rate_per_second,
    )
