"""From manifests to tables: what receivers and processors are to know of each endpoint.

Pure: where secrets come from is the caller's business. It fails closed: an endpoint with a secret
that is missing or empty gets no place in a table, for a comparison with an empty secret lets
strangers in.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from forebay.core.compile_nats import nats_target
from forebay.core.compile_tls import tls_record
from forebay.core.destination_spec import (
    BatchSpec,
    DestinationSpec,
    HttpSpec,
    PostgresSpec,
    PythonSpec,
    SigningSpec,
)
from forebay.core.providers.registry import provider_of
from forebay.core.resource import (
    DeduplicationSpec,
    WebhookEndpoint,
    WebhookEndpointSpec,
)
from forebay.core.schedule import greatest_throughput, webhooks_per_second
from forebay.core.secret_value_checks import Secrets, SecretValues
from forebay.core.signatures import signature_check
from forebay.core.spec_base import SecretSource
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    Batch,
    CertificateCheck,
    Destination,
    HeaderCheck,
    HttpTarget,
    HttpTls,
    LogTarget,
    PostgresTarget,
    ProcessorEndpoint,
    ProcessorTable,
    PythonTarget,
    ReceiverRoute,
    ReceiverTable,
    Retry,
    encode_table,
)
from forebay.core.throughput_spec import Throughput
from forebay.core.validation_errors import InvalidEndpoint, Path, Problem

__all__ = [
    "Secrets",
    "build_tables",
    "compile_endpoint",
    "compile_route",
    "max_in_flight",
]

IN_FLIGHT_SECONDS: Final = 3.0
"""Seconds' worth of webhooks that one receiver holds at once. A webhook takes milliseconds; this
bounds what queues up while NATS stands still: all that comes within a receiver's budget (2.5 s) at
the declared rate, and a fifth more for what comes in bursts, so that nobody is refused for its
endpoint's sake while it could still be stored in time."""

IN_FLIGHT_FLOOR: Final = 64
"""A number with 1 message/s has bursts too, such as its history when it is connected."""


def max_in_flight(throughput: Throughput) -> int:
    """Return how many webhooks of an endpoint one receiver process takes on at once.

    Where there is a schedule, for the greatest of its windows: the operator hands on what holds at
    the moment, without one.
    """
    rate = webhooks_per_second(greatest_throughput(throughput))
    return max(IN_FLIGHT_FLOOR, math.ceil(IN_FLIGHT_SECONDS * rate))


def compile_route(
    manifest: WebhookEndpoint,
    secrets: Secrets,
    *,
    shard: str | None = None,
    warnings: list[Problem] | None = None,
) -> ReceiverRoute:
    """Return what receivers are to know of an endpoint.

    Args:
        manifest: The endpoint.
        secrets: Where its secrets come from.
        shard: The streams to use where it is not for the manifest to say, as in `forebay run`.
        warnings: Takes what is used though it looks like a mistake.

    Raises:
        InvalidEndpoint: with every secret that cannot be used.
    """
    values = SecretValues(manifest.endpoint, secrets, warnings)
    spec = manifest.spec
    path = ("spec", "authentication")
    headers = tuple(
        HeaderCheck(
            name=header.name.lower(),
            values=tuple(
                values.header((*path, "headers", index, "values", place), source)
                for place, source in enumerate(header.values)
            ),
        )
        for index, header in enumerate(spec.authentication.headers)
    )
    basic = tuple(
        BasicCheck(
            username=pair.username,
            password=values.text((*path, "basic", index, "password"), pair.password),
        )
        for index, pair in enumerate(spec.authentication.basic)
    )
    certificate = None
    if spec.authentication.client_certificate is not None:
        certificate = CertificateCheck(names=spec.authentication.client_certificate.names)
    signature = None
    if spec.authentication.signature is not None:
        signing = tuple(
            values.text((*path, "signature", "secrets", place), source)
            for place, source in enumerate(spec.authentication.signature.secrets)
        )
        signature = signature_check(spec.provider, signing)
    verify_tokens: tuple[str, ...] = ()
    if spec.authentication.verify_token is not None:
        verify_tokens = (values.text((*path, "verifyToken"), spec.authentication.verify_token),)
    values.check()
    authentication = Authentication(
        none=spec.authentication.none,
        headers=headers,
        basic=basic,
        signature=signature,
        client_certificate=certificate,
        verify_tokens=verify_tokens,
    )
    authentication.check()
    return ReceiverRoute(
        namespace=manifest.endpoint.namespace,
        name=manifest.endpoint.name,
        provider=spec.provider,
        shard=shard or spec.processing.shard,
        authentication=authentication,
        max_in_flight=max_in_flight(spec.throughput),
        id_headers=_id_headers(spec),
    )


def compile_endpoint(
    manifest: WebhookEndpoint,
    secrets: Secrets,
    *,
    shard: str | None = None,
    warnings: list[Problem] | None = None,
) -> ProcessorEndpoint:
    """Return what processors are to know of an endpoint; see `compile_route`."""
    values = SecretValues(manifest.endpoint, secrets, warnings)
    spec = manifest.spec
    destinations = tuple(
        _destination(values, ("spec", "destinations", index), destination)
        for index, destination in enumerate(spec.destinations)
    )
    values.check()
    return ProcessorEndpoint(
        namespace=manifest.endpoint.namespace,
        name=manifest.endpoint.name,
        provider=spec.provider,
        shard=shard or spec.processing.shard,
        channel=spec.channel.phone_number_id if spec.channel is not None else None,
        ordering=spec.processing.ordering,
        status_order=spec.processing.status_order,
        max_in_flight=spec.processing.max_in_flight or 0,
        id_headers=_id_headers(spec),
        paused=spec.paused,
        destinations=destinations,
    )


def build_tables(
    manifests: Sequence[WebhookEndpoint],
    secrets: Secrets,
    *,
    shard: str | None = None,
    warnings: list[Problem] | None = None,
) -> tuple[ReceiverTable, ProcessorTable]:
    """Return both tables; each one's generation is a hash of its content.

    See `compile_route` for the arguments.

    Raises:
        InvalidEndpoint: with every problem of every endpoint.
    """
    problems: list[Problem] = []
    ordered = sorted(manifests, key=lambda manifest: manifest.endpoint)
    routes = _gather(
        lambda item: compile_route(item, secrets, shard=shard, warnings=warnings), ordered, problems
    )
    endpoints = _gather(
        lambda item: compile_endpoint(item, secrets, shard=shard, warnings=warnings),
        ordered,
        problems,
    )
    if problems:
        raise InvalidEndpoint(problems)
    receiver = ReceiverTable(generation="", routes=routes)
    processor = ProcessorTable(generation="", endpoints=endpoints)
    return (
        ReceiverTable(generation=_generation(receiver), routes=routes),
        ProcessorTable(generation=_generation(processor), endpoints=endpoints),
    )


_Compiled = TypeVar("_Compiled")


def _gather(
    build: Callable[[WebhookEndpoint], _Compiled],
    manifests: Sequence[WebhookEndpoint],
    problems: list[Problem],
) -> tuple[_Compiled, ...]:
    built: list[_Compiled] = []
    for manifest in manifests:
        try:
            built.append(build(manifest))
        except InvalidEndpoint as error:
            problems.extend(error.problems)
    return tuple(built)


def _generation(table: ReceiverTable | ProcessorTable) -> str:
    return hashlib.sha256(encode_table(table)).hexdigest()[:12]


def _id_headers(spec: WebhookEndpointSpec) -> tuple[str, ...]:
    if provider_of(spec.provider).event_ids != "headers":
        return ()
    deduplication = spec.deduplication or DeduplicationSpec()
    return tuple(name.lower() for name in deduplication.headers)


def _destination(values: SecretValues, path: Path, spec: DestinationSpec) -> Destination:
    return Destination(
        name=spec.name,
        events=spec.events or (),
        channels=spec.channels or (),
        filter=spec.filter.expression if spec.filter is not None else "",
        transform=spec.transform.expression if spec.transform is not None else "",
        http=_http(values, (*path, "http"), spec.http) if spec.http is not None else None,
        log=LogTarget() if spec.log is not None else None,
        postgres=(
            _postgres(values, (*path, "postgres"), spec.postgres)
            if spec.postgres is not None
            else None
        ),
        python=_python(spec.python) if spec.python is not None else None,
        nats=nats_target(values, (*path, "nats"), spec.nats) if spec.nats is not None else None,
        retry=Retry(
            initial_delay_seconds=spec.retry.initial_delay,
            max_delay_seconds=spec.retry.max_delay,
            max_age_seconds=spec.retry.max_age,
        ),
    )


def _http(values: SecretValues, path: Path, spec: HttpSpec) -> HttpTarget:
    headers: dict[str, str] = {}
    for index, header in enumerate(spec.headers):
        if header.secret_key_ref is not None:
            source = SecretSource(secret_key_ref=header.secret_key_ref)
            headers[header.name] = values.header((*path, "headers", index), source)
        elif header.value is not None:
            headers[header.name] = header.value
    return HttpTarget(
        url=spec.url,
        format=spec.format,
        content_type=spec.content_type,
        headers=headers,
        signing_secrets=_signing(values, (*path, "signing"), spec.signing),
        tls=tls_record(values, (*path, "tls"), spec.tls) if spec.tls is not None else None,
        timeout_seconds=spec.timeout_seconds,
        max_in_flight=spec.max_in_flight,
        rate_per_second=spec.rate_per_second,
        batch=None if spec.batch is None else _batch(spec.batch),
    )


def _postgres(values: SecretValues, path: Path, spec: PostgresSpec) -> PostgresTarget:
    address = values.postgres_address((*path, "dsn"), spec.dsn, has_tls=spec.tls is not None)
    tls = None if address.is_plain else HttpTls()
    if spec.tls is not None:
        tls = tls_record(values, (*path, "tls"), spec.tls)
    return PostgresTarget(
        hosts=address.hosts,
        database=address.database,
        user=address.user,
        password=address.password,
        tls=tls,
        schema=spec.schema_name,
        retention_days=spec.retention_days,
        timeout_seconds=spec.timeout_seconds,
        max_in_flight=spec.max_in_flight,
        rate_per_second=spec.rate_per_second,
        batch=_batch(spec.batch),
    )


def _python(spec: PythonSpec) -> PythonTarget:
    return PythonTarget(
        handler=spec.handler,
        start=spec.start or "",
        stop=spec.stop or "",
        timeout_seconds=spec.timeout_seconds,
        max_in_flight=spec.max_in_flight,
        rate_per_second=spec.rate_per_second,
    )


def _batch(spec: BatchSpec) -> Batch:
    return Batch(max_items=spec.max_items, max_bytes=spec.max_bytes, max_wait_seconds=spec.max_wait)


def _signing(values: SecretValues, path: Path, spec: SigningSpec | None) -> tuple[str, ...]:
    if spec is None:
        return ()
    if spec.secret_key_ref is not None:
        return (values.signing_secret(path, SecretSource(secret_key_ref=spec.secret_key_ref)),)
    return tuple(
        values.signing_secret((*path, "secrets", place), source)
        for place, source in enumerate(spec.secrets or ())
    )
