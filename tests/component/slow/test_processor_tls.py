"""TLS to a destination is checked as its manifest says, and never less."""

import json
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from msgspec.structs import replace

from forebay.core.tables import HttpTls
from support.processor.processor_harness import ProcessorHarness
from support.programs.authority import Authority
from support.programs.ports import HOST
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


class Shop:
    """A destination that speaks TLS with the name `crm.example.com`, and notes who came."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.port = 0
        self.seen: dict[str, str] = {}
        """Whether the client showed our certificate (`processor`), by the item's id."""

    async def take(self, request: web.Request) -> web.Response:
        """Note an item."""
        tls = request.transport and request.transport.get_extra_info("ssl_object")
        shown = tls.getpeercert() if isinstance(tls, ssl.SSLObject) else None
        text = json.dumps(shown or {})
        self.seen[request.headers["webhook-id"]] = "processor" if '"processor"' in text else ""
        return web.Response()

    @property
    def url(self) -> str:
        """Where it is: by number, so that the certificate's name is never that of the URL."""
        return f"https://{HOST}:{self.port}/"


@pytest_asyncio.fixture(loop_scope="session", params=[False, True], ids=["plain", "mutual"])
async def shop(request: pytest.FixtureRequest, authority: Authority) -> AsyncIterator[Shop]:
    """Give a destination that asks nobody, and one that asks for a certificate."""
    server = authority.issue("server", "DNS:crm.example.com")
    made = Shop()
    app = web.Application()
    app.router.add_post("/", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    context = authority.server_context(server, asks=request.param)
    site = web.TCPSite(runner, HOST, 0, ssl_context=context)
    await site.start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


WRONG = ("the system's", "another name", "no name")
"""What is wrong for any destination; one that asks for a certificate wants one, too."""


def trusting(authority: Authority) -> HttpTls:
    client = authority.issue("processor", "DNS:processor")
    return HttpTls(
        ca=authority.pem,
        certificate=client.pem,
        key=client.key,
        server_name="crm.example.com",
    )


async def test_our_authority_our_certificate_and_the_name_that_is_given(
    processor: ProcessorHarness, shop: Shop, authority: Authority, request: pytest.FixtureRequest
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, url=shop.url, tls=trusting(authority)))
    (key,) = await processor.send(name, "wamid.tls")
    await eventually(lambda: key in shop.seen)
    is_asked = "mutual" in request.node.name
    assert shop.seen[key] == ("processor" if is_asked else "")


@pytest.mark.parametrize(
    ("shop", "wrong"),
    [
        *((asks, wrong) for asks in (False, True) for wrong in WRONG),
        (True, "no certificate"),
    ],
    indirect=["shop"],
)
async def test_what_cannot_be_trusted_gets_nothing(
    processor: ProcessorHarness,
    shop: Shop,
    authority: Authority,
    wrong: str,
) -> None:
    tls = {
        "the system's": HttpTls(server_name="crm.example.com"),
        "another name": replace(trusting(authority), server_name="shop.example.com"),
        "no name": replace(trusting(authority), server_name=""),
        "no certificate": replace(trusting(authority), certificate="", key=""),
    }[wrong]
    name = processor.new_name()
    await processor.serve(name, processor.http(name, url=shop.url, tls=tls))
    (key,) = await processor.send(name, "wamid.untrusted")

    async def failed() -> bool:
        return (
            await processor.part.metric(
                "forebay_processor_attempts_total", endpoint=name, result="failed"
            )
            >= 2
        )

    await eventually(failed)
    assert key not in shop.seen
    await processor.serve(name, processor.http(name, url=shop.url, tls=trusting(authority)))
    await eventually(lambda: key in shop.seen)


async def test_a_key_that_cannot_be_used_is_reported_and_waits_for_another(
    processor: ProcessorHarness, shop: Shop, authority: Authority
) -> None:
    name = processor.new_name()
    other = authority.issue("other", "DNS:other")
    await processor.serve(
        name, processor.http(name, url=shop.url, tls=replace(trusting(authority), key=other.key))
    )
    (key,) = await processor.send(name, "wamid.wrong-key")

    def reasons() -> list[str]:
        return [
            str(record["reason"])
            for record in processor.part.logged("breaker_opened")
            if record["endpoint"] == f"demo/{name}"
        ]

    await eventually(reasons)
    (reason,) = reasons()
    assert "tls.certificate and tls.key cannot be used" in reason
    await processor.serve(name, processor.http(name, url=shop.url, tls=trusting(authority)))
    await eventually(lambda: key in shop.seen)
