"""A `curl` line for each endpoint that works when it is pasted into a shell, anywhere.

Its body is a small webhook of the endpoint's provider, its credentials are the endpoint's own. A
secret that came from the environment stays there: the line names its variable.
"""

import json
import shlex
from dataclasses import dataclass

from forebay.core.compile import compile_route
from forebay.core.destination_spec import DestinationSpec
from forebay.core.providers.registry import provider_of
from forebay.core.resource import WebhookEndpoint
from forebay.core.signatures import sign
from forebay.core.tables import SignatureCheck
from forebay.local.secret_sources import LocalSecrets

__all__ = ["Sample", "sample"]

_PHONE_NUMBER_ID = "108200000000301"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How to try one endpoint."""

    endpoint: str
    """`namespace/name`."""

    provider: str
    url: str
    curl: str
    """One line."""

    destinations: tuple[str, ...]
    """`name (kind)` of each, `name (http, batch)` where several items go in one request."""


def sample(
    manifest: WebhookEndpoint,
    secrets: LocalSecrets,
    base_url: str,
    *,
    mark: str,
    time: int,
) -> Sample:
    """Return how to try an endpoint.

    Args:
        manifest: The endpoint, whose secrets are known to be usable.
        secrets: Where its secrets come from.
        base_url: The receiver's, such as `http://127.0.0.1:8080`.
        mark: Goes into the message's id: another one, and the item is a new one.
        time: Of the message, in seconds since the epoch.
    """
    url = f"{base_url}/v1/webhooks/{manifest.endpoint.namespace}/{manifest.endpoint.name}"
    body = _body(manifest, mark, time)
    options = ["-H 'Content-Type: application/json'", *_credentials(manifest, secrets, body)]
    given = " ".join(options)
    return Sample(
        endpoint=str(manifest.endpoint),
        provider=manifest.spec.provider,
        url=url,
        curl=f"curl -i {given} --data-binary {shlex.quote(body)} {shlex.quote(url)}",
        destinations=tuple(map(_described, manifest.spec.destinations)),
    )


def _described(destination: DestinationSpec) -> str:
    batch = ", batch" if destination.http is not None and destination.http.batch else ""
    return f"{destination.name} ({destination.kind}{batch})"


def _body(manifest: WebhookEndpoint, mark: str, time: int) -> str:
    channel = manifest.spec.channel
    body = provider_of(manifest.spec.provider).body_format.sample(
        mark=mark,
        time=time,
        channel=(channel and channel.phone_number_id) or _PHONE_NUMBER_ID,
    )
    return json.dumps(body, separators=(",", ":"))


def _credentials(manifest: WebhookEndpoint, secrets: LocalSecrets, body: str) -> list[str]:
    """Return the options that let the webhook in, each quoted for a shell."""
    authentication = compile_route(manifest, secrets).authentication
    namespace = manifest.endpoint.namespace
    options: list[str] = []
    for given, check in zip(
        manifest.spec.authentication.headers,
        authentication.headers,
        strict=True,
    ):
        reference = given.values[0].secret_key_ref
        variable = secrets.variable(namespace, reference.name, reference.key)
        if variable is None:
            options.append(f"-H {shlex.quote(f'{given.name}: {check.values[0]}')}")
        else:
            options.append(f'-H "{given.name}: ${variable}"')
    if authentication.basic:
        pair = authentication.basic[0]
        reference = manifest.spec.authentication.basic[0].password.secret_key_ref
        variable = secrets.variable(namespace, reference.name, reference.key)
        if variable is None:
            options.append(f"-u {shlex.quote(f'{pair.username}:{pair.password}')}")
        else:
            options.append(f'-u {shlex.quote(f"{pair.username}:")}"${variable}"')
    if authentication.signature is not None:
        options.append(f"-H {shlex.quote(_signature(authentication.signature, body))}")
    return options


def _signature(check: SignatureCheck, body: str) -> str:
    name = "-".join(part.capitalize() for part in check.header.split("-"))
    return f"{name}: sha256={sign(check.secrets[0], body.encode())}"
