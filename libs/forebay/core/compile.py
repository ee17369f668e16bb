"""From manifests to tables: what receivers and processors are to know of each endpoint.

Pure: where secrets come from is the caller's business. It fails closed: an endpoint with a secret
that is missing or empty gets no place in a table, for a comparison with an empty secret lets
strangers in.
"""

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from forebay.core.errors import ConfigurationError
from forebay.core.problems import InvalidEndpoint, Path, Problem
from forebay.core.resource import (
    DeduplicationSpec,
    DestinationSpec,
    HttpSpec,
    SecretKeyRef,
    SecretSource,
    SigningSpec,
    Throughput,
    TlsSpec,
    WebhookEndpoint,
    WebhookEndpointSpec,
)
from forebay.core.signatures import signature_check
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    CertificateCheck,
    Destination,
    HeaderCheck,
    HttpTarget,
    HttpTls,
    LogTarget,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    Retry,
    encode_table,
)

__all__ = [
    "Secrets",
    "build_tables",
    "compile_endpoint",
    "compile_route",
    "max_in_flight",
    "webhooks_per_second",
]

STATUSES_PER_MESSAGE: Final = 3
"""Webhooks that one sent message brings: sent, delivered, read. Source: 360dialog's sizing rule,
`3 x outgoing + incoming`."""

IN_FLIGHT_SECONDS: Final = 2.0
"""Seconds' worth of webhooks that one receiver holds at once. A webhook takes milliseconds; this
bounds what queues up while NATS stands still, and lets a burst of retries in after it: twice the
expected rate, each held for the second that providers allow 1 % of their calls."""

IN_FLIGHT_FLOOR: Final = 64
"""A number with 1 message/s has bursts too, such as its history when it is connected."""

SIGNING_PREFIX: Final = "whsec_"
SIGNING_KEY_BYTES: Final = range(24, 65)
"""What Standard Webhooks allows a symmetric key to be long."""


class Secrets(Protocol):
    """Where the values of Secrets come from."""

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value as it is stored.

        Raises:
            ConfigurationError: where there is none; the message names the secret and its key.
        """


def webhooks_per_second(throughput: Throughput) -> float:
    """Return the webhooks that a channel brings at its full speed, by the provider's formula.

    360dialog sizes an endpoint by `3 x outgoing + incoming`: 66, 264 or 3,300 webhooks/s for 20, 80
    or 1,000 messages/s at 30 % replies.
    """
    outgoing = throughput.messages_per_second
    return STATUSES_PER_MESSAGE * outgoing + outgoing * throughput.reply_ratio


def max_in_flight(throughput: Throughput) -> int:
    """Return how many webhooks of an endpoint one receiver process takes on at once."""
    return max(IN_FLIGHT_FLOOR, math.ceil(IN_FLIGHT_SECONDS * webhooks_per_second(throughput)))


def compile_route(
    manifest: WebhookEndpoint,
    secrets: Secrets,
    *,
    shard: str | None = None,
) -> ReceiverRoute:
    """Return what receivers are to know of an endpoint.

    Args:
        manifest: The endpoint.
        secrets: Where its secrets come from.
        shard: The streams to use where it is not for the manifest to say, as in `forebay run`.

    Raises:
        InvalidEndpoint: with every secret that cannot be used.
    """
    values = _Values(manifest, secrets)
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
) -> ProcessorEndpoint:
    """Return what processors are to know of an endpoint; see `compile_route`."""
    values = _Values(manifest, secrets)
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
) -> tuple[ReceiverTable, ProcessorTable]:
    """Return both tables; each one's generation is a hash of its content.

    Raises:
        InvalidEndpoint: with every problem of every endpoint.
    """
    problems: list[Problem] = []
    ordered = sorted(manifests, key=lambda manifest: manifest.endpoint)
    routes = _gather(lambda item: compile_route(item, secrets, shard=shard), ordered, problems)
    endpoints = _gather(
        lambda item: compile_endpoint(item, secrets, shard=shard), ordered, problems
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
    if spec.provider != "generic":
        return ()
    deduplication = spec.deduplication or DeduplicationSpec()
    return tuple(name.lower() for name in deduplication.headers)


def _destination(values: "_Values", path: Path, spec: DestinationSpec) -> Destination:
    return Destination(
        name=spec.name,
        events=spec.events or (),
        channels=spec.channels or (),
        http=_http(values, (*path, "http"), spec.http) if spec.http is not None else None,
        log=LogTarget() if spec.log is not None else None,
        retry=Retry(
            initial_delay_seconds=spec.retry.initial_delay,
            max_delay_seconds=spec.retry.max_delay,
            max_age_seconds=spec.retry.max_age,
        ),
    )


def _http(values: "_Values", path: Path, spec: HttpSpec) -> HttpTarget:
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
        headers=headers,
        signing_secrets=_signing(values, (*path, "signing"), spec.signing),
        tls=_tls(values, (*path, "tls"), spec.tls) if spec.tls is not None else None,
        timeout_seconds=spec.timeout_seconds,
        max_in_flight=spec.max_in_flight,
        rate_per_second=spec.rate_per_second,
    )


def _signing(values: "_Values", path: Path, spec: SigningSpec | None) -> tuple[str, ...]:
    if spec is None:
        return ()
    if spec.secret_key_ref is not None:
        return (values.signing_secret(path, SecretSource(secret_key_ref=spec.secret_key_ref)),)
    return tuple(
        values.signing_secret((*path, "secrets", place), source)
        for place, source in enumerate(spec.secrets or ())
    )


def _tls(values: "_Values", path: Path, spec: TlsSpec) -> HttpTls:
    def pem(field: str, source: SecretSource | None, ending: str) -> str:
        return "" if source is None else values.pem((*path, field), source, ending)

    return HttpTls(
        ca=pem("ca", spec.ca, "CERTIFICATE"),
        certificate=pem("certificate", spec.certificate, "CERTIFICATE"),
        key=pem("key", spec.key, "PRIVATE KEY"),
        server_name=spec.server_name or "",
        insecure_skip_verify=spec.insecure_skip_verify,
    )


class _Values:
    """The secrets of one endpoint, looked up one by one; remembers all that cannot be used."""

    def __init__(self, manifest: WebhookEndpoint, secrets: Secrets) -> None:
        self._endpoint = manifest.endpoint
        self._secrets = secrets
        self._problems: list[Problem] = []

    def check(self) -> None:
        """Raise InvalidEndpoint where any secret could not be used."""
        if self._problems:
            raise InvalidEndpoint(self._problems)

    def text(self, path: Path, source: SecretSource) -> str:
        """Return the value, without the newline that `kubectl create secret --from-file` keeps.

        Exactly one newline at the end goes: more of them, or spaces, may be part of the secret.
        """
        reference = source.secret_key_ref
        try:
            value = self._secrets(self._endpoint.namespace, reference.name, reference.key)
        except ConfigurationError as error:
            return self._refuse(path, str(error))
        value = value.removesuffix("\n")
        if not value:
            return self._refuse(path, f"{_told(reference)} is empty: give it a value")
        return value

    def header(self, path: Path, source: SecretSource) -> str:
        """Return the value of a header."""
        value = self.text(path, source)
        if value and not (value.isascii() and value.isprintable() and value == value.strip()):
            return self._refuse(
                path,
                f"{_told(source.secret_key_ref)} cannot be a header's value: use printable ASCII, "
                "without spaces or newlines at its ends",
            )
        return value

    def signing_secret(self, path: Path, source: SecretSource) -> str:
        """Return a Standard Webhooks secret."""
        value = self.text(path, source)
        if not value:
            return value
        try:
            key = base64.b64decode(value.removeprefix(SIGNING_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not value.startswith(SIGNING_PREFIX) or len(key) not in SIGNING_KEY_BYTES:
            return self._refuse(
                path,
                f"{_told(source.secret_key_ref)} is no Standard Webhooks secret: use "
                f"{SIGNING_PREFIX} and 24 to 64 random bytes in base64",
            )
        return value

    def pem(self, path: Path, source: SecretSource, ending: str) -> str:
        """Return certificates or a key in PEM.

        Whether they can be used is known where they are used: here no more than their form, which
        is what goes wrong when a Secret is made (DER, or the wrong key of it).
        """
        value = self.text(path, source)
        if value and re.search(rf"-----BEGIN ([A-Z]+ )*{ending}-----\n", value) is None:
            return self._refuse(
                path,
                f"{_told(source.secret_key_ref)} holds no {ending.lower()} in PEM: it has to have "
                f"a line `-----BEGIN {ending}-----`",
            )
        return value

    def _refuse(self, path: Path, reason: str) -> str:
        self._problems.append(Problem(str(self._endpoint), path, reason))
        return ""


def _told(reference: SecretKeyRef) -> str:
    return f"key {reference.key!r} of Secret {reference.name!r}"
