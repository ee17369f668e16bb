"""A receiver seen from outside: endpoints of every kind, a way to send, and what was stored."""

import base64
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.js.api import RawStreamMsg, StreamState
from typing_extensions import override

from forebay.core.body_packing import unpacked
from forebay.core.signatures import sign
from forebay.core.subjects import StreamKind
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    CertificateCheck,
    HeaderCheck,
    ReceiverRoute,
    SignatureCheck,
)
from forebay.runtime.jetstream.streams import stream_config
from support.inputs.corpus import APP_SECRET, PLATFORM_SECRET, payload
from support.inputs.tables import META_SIGNATURE, PATH, VERIFY_TOKEN
from support.nats.nats_server import NatsServer
from support.programs.processes import Part
from support.programs.scope import Scope
from support.programs.stack import Stack
from support.receiver.raw_http import RawResponse, exchange, request_bytes

__all__ = [
    "CERTIFICATE_HEADER",
    "CERTIFICATE_NAME",
    "OLD_PASSWORD",
    "OLD_SECRET",
    "OLD_TOKEN",
    "PASSWORD",
    "RAW",
    "ROUTES",
    "TOKEN",
    "USER",
    "ReceiverHarness",
    "basic",
    "path_of",
    "signed",
    "stored_webhook",
]

RAW: Final = "FOREBAY_RAW_0"

TOKEN: Final = "Bearer example-token"  # made up, as all secrets here
OLD_TOKEN: Final = "Bearer example-token-of-last-year"
OLD_SECRET: Final = "example-app-secret-of-last-year"

USER: Final = "provider"
PASSWORD: Final = "example:password"
OLD_PASSWORD: Final = "example-password-of-last-year"

CERTIFICATE_HEADER: Final = "ssl-client-subject-dn"
CERTIFICATE_NAME: Final = "client.webhooks.fbclientcerts.com"
"""Meta's."""

_BASIC = (
    BasicCheck(username=USER, password=OLD_PASSWORD),
    BasicCheck(username=USER, password=PASSWORD),
    BasicCheck(username="auditor", password="example-password-of-the-auditor"),
)
_CERTIFICATE = CertificateCheck(names=("hooks.example.net", CERTIFICATE_NAME))

_HEADER = HeaderCheck(name="authorization", values=(TOKEN, OLD_TOKEN))
_PLATFORM = SignatureCheck(
    header="x-360dialog-signature", prefix="optional", secrets=(PLATFORM_SECRET,)
)
_ROTATED = SignatureCheck(
    header="x-hub-signature-256", prefix="required", secrets=(OLD_SECRET, APP_SECRET)
)

ROUTES: Final = (
    ReceiverRoute(namespace="demo", name="meta", provider="meta", authentication=META_SIGNATURE),
    ReceiverRoute(
        namespace="demo",
        name="d360",
        provider="360dialog",
        authentication=Authentication(headers=(_HEADER,)),
    ),
    ReceiverRoute(
        namespace="demo",
        name="partner",
        provider="360dialog",
        authentication=Authentication(headers=(_HEADER,), signature=_PLATFORM),
    ),
    ReceiverRoute(
        namespace="demo",
        name="rotated",
        provider="meta",
        authentication=Authentication(
            signature=_ROTATED, verify_tokens=(VERIFY_TOKEN, "example-token-of-next-year")
        ),
    ),
    ReceiverRoute(
        namespace="demo",
        name="basic",
        provider="generic",
        authentication=Authentication(basic=_BASIC),
    ),
    ReceiverRoute(
        namespace="demo",
        name="certified",
        provider="meta",
        authentication=Authentication(client_certificate=_CERTIFICATE),
    ),
    ReceiverRoute(
        namespace="demo",
        name="everything",
        provider="meta",
        authentication=Authentication(
            headers=(HeaderCheck(name="x-token", values=(TOKEN,)),),
            basic=_BASIC,
            signature=_ROTATED,
            client_certificate=_CERTIFICATE,
        ),
    ),
    ReceiverRoute(
        namespace="demo",
        name="open",
        provider="generic",
        authentication=Authentication(none=True),
    ),
    ReceiverRoute(
        namespace="demo",
        name="narrow",
        provider="generic",
        authentication=Authentication(none=True),
        max_in_flight=1,
    ),
)
"""One endpoint for each way to authenticate; `narrow` takes one webhook at a time."""


async def stored_webhook(client: Client, sequence: int) -> RawStreamMsg:
    """Return a message of RAW, with the body as it came."""
    message = await client.jetstream().get_msg(RAW, sequence)
    message.data = unpacked(message.data or b"", message.headers or {}, 2**30)
    return message


def path_of(name: str) -> str:
    """Return the path of an endpoint of namespace `demo`."""
    return f"/v1/webhooks/demo/{name}"


def signed(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    """Return the header that Meta would send with a body."""
    return {"X-Hub-Signature-256": f"sha256={sign(secret, body)}"}


def basic(username: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """Return the header of RFC 7617."""
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


class ReceiverHarness(Scope):
    """A stack with one receiver and all of ROUTES."""

    def __init__(
        self, folder: Path, nats_server: NatsServer | None = None, /, **settings: str
    ) -> None:
        """Lay out the stack; settings go to the receiver, an empty one takes ours away."""
        super().__init__()
        self.stack = Stack(folder, nats_server=nats_server)
        # Nothing balances load here: the receiver may leave as soon as it is told to.
        usual = {
            "FOREBAY_RECEIVER_DRAIN_SECONDS": "0",
            "FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER": CERTIFICATE_HEADER,
        }
        chosen = {name: value for name, value in {**usual, **settings}.items() if value}
        self.part: Part = self.stack.part("receiver", **chosen)
        self._numbers = itertools.count(1)

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Start NATS and the receiver."""
        self.stack.tables.write_routes(*ROUTES)
        await cleanup.enter_async_context(self.stack)
        await self.part.start()

    def new_body(self) -> bytes:
        """Return a text message that was never sent before."""
        old = b"wamid.HBgLMTU1NTAwMDEyMzQVAgASGBQ5ODJEOUUzRUI5OTZGNTU5RTYzMwA="
        return payload("messages-text").body.replace(old, b"wamid.%d" % next(self._numbers))

    async def post(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        path: str = PATH,
        within: float = 10.0,
    ) -> RawResponse:
        """Send a webhook, signed as Meta does where no headers are given, and read the answer."""
        fields = signed(body) if headers is None else headers
        request = request_bytes("POST", path, headers=fields, body=body)
        return await exchange(self.part.port, request, within=within)

    async def get(self, path: str) -> RawResponse:
        """Send a GET request where webhooks come in."""
        return await exchange(self.part.port, request_bytes("GET", path))

    async def refused(self, reason: str) -> float:
        """Return how many requests were refused for a reason so far."""
        return await self.part.metric("forebay_receiver_refused_total", reason=reason)

    async def stored(self) -> int:
        """Return how many webhooks were stored so far."""
        return (await self.state()).last_seq

    async def state(self) -> StreamState:
        """Return what the RAW stream says of itself."""
        async with self.stack.nats_server.client() as client:
            return (await client.jetstream().stream_info(RAW)).state

    async def limit_raw(self, max_bytes: int) -> None:
        """Change how large the RAW stream may grow, until the stack is provisioned again."""
        async with self.stack.nats_server.client() as client:
            shard = msgspec.structs.replace(self.stack.shard, raw_max_bytes=max_bytes)
            await client.jetstream().update_stream(stream_config(StreamKind.RAW, shard))

    async def last(self) -> RawStreamMsg:
        """Return the webhook that was stored last."""
        async with self.stack.nats_server.client() as client:
            sequence = (await client.jetstream().stream_info(RAW)).state.last_seq
            return await stored_webhook(client, sequence)

    @contextlib.asynccontextmanager
    async def nothing_stored(self) -> AsyncIterator[None]:
        """Say that nothing is stored within the block."""
        before = await self.stored()
        yield
        assert await self.stored() == before
