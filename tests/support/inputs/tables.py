"""Tables of endpoints as files, written as the operator and `forebay run` write them."""

import itertools
from pathlib import Path

from forebay.core.tables import (
    Authentication,
    Batch,
    Destination,
    HttpTarget,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    Retry,
    SignatureCheck,
    encode_table,
)
from support.inputs.corpus import APP_SECRET

__all__ = [
    "ENDPOINT",
    "META_SIGNATURE",
    "PATH",
    "VERIFY_TOKEN",
    "Tables",
    "endpoint",
    "http_destination",
    "route",
    "write_atomically",
]

ENDPOINT = "demo/meta"
"""The endpoint that tests use where it does not matter which."""

PATH = "/v1/webhooks/demo/meta"
"""The path of that endpoint."""

VERIFY_TOKEN = "example-verify-token"  # made up

META_SIGNATURE = Authentication(
    signature=SignatureCheck(
        header="x-hub-signature-256", prefix="required", secrets=(APP_SECRET,)
    ),
    verify_tokens=(VERIFY_TOKEN,),
)
"""Meta's signature with the corpus' secret, and a token for the GET challenge."""

QUICK_RETRY = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.5, max_age_seconds=60)
"""A retry that a test can wait for."""


def route(
    name: str = ENDPOINT,
    *,
    authentication: Authentication = META_SIGNATURE,
    max_in_flight: int = 512,
) -> ReceiverRoute:
    """Return an endpoint as receivers see it; the name is `namespace/name`."""
    namespace, _, label = name.partition("/")
    return ReceiverRoute(
        namespace=namespace,
        name=label,
        provider="meta",
        authentication=authentication,
        max_in_flight=max_in_flight,
    )


def http_destination(
    url: str,
    *,
    name: str = "sink",
    retry: Retry = QUICK_RETRY,
    timeout_seconds: float = 5.0,
    batch: Batch | None = None,
    filter: str = "",  # noqa: A002  # as the table has it
) -> Destination:
    """Return a destination that posts to the address and retries soon."""
    target = HttpTarget(url=url, timeout_seconds=timeout_seconds, batch=batch)
    return Destination(name=name, http=target, retry=retry, filter=filter)


def endpoint(
    *destinations: Destination, name: str = ENDPOINT, paused: bool = False
) -> ProcessorEndpoint:
    """Return an endpoint as processors see it; the name is `namespace/name`."""
    namespace, _, label = name.partition("/")
    return ProcessorEndpoint(
        namespace=namespace,
        name=label,
        provider="meta",
        destinations=destinations,
        paused=paused,
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step: a reader finds the old one or the new one, never a half."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)


class Tables:
    """Folders of tables, one per kind of part; writing again is a change that parts have to see."""

    def __init__(self, folder: Path) -> None:
        """Make the folders."""
        self.receiver_folder = folder / "receiver"
        self.processor_folder = folder / "processor"
        for each in (self.receiver_folder, self.processor_folder):
            each.mkdir(parents=True, exist_ok=True)
        self._generations = itertools.count(1)

    def write_routes(self, *routes: ReceiverRoute, file: str = "0.json") -> str:
        """Write one file of the receivers' table and return its generation."""
        generation = str(next(self._generations))
        table = ReceiverTable(generation=generation, routes=routes)
        write_atomically(self.receiver_folder / file, encode_table(table))
        return generation

    def write_endpoints(
        self, *endpoints: ProcessorEndpoint, deleted: tuple[str, ...] = (), file: str = "0.json"
    ) -> str:
        """Write one file of the processors' table and return its generation."""
        generation = str(next(self._generations))
        table = ProcessorTable(generation=generation, endpoints=endpoints, deleted=deleted)
        write_atomically(self.processor_folder / file, encode_table(table))
        return generation
