"""Spans over HTTP: what a collector is sent, and what it may answer."""

import asyncio
import contextlib
import gzip
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from forebay.core.trace_context import TraceContext
from forebay.runtime.otlp_http import OtlpHttpExporter
from forebay.runtime.span_export import OtlpSink
from forebay.runtime.tracing import SpanRecord
from support.programs.authority import Authority
from support.programs.ports import HOST, free_port
from support.timing.wait import eventually

SPAN = SpanRecord(
    "deliver", "client", TraceContext("5" * 32, "6" * 16, is_sampled=True), None, 1.0, 2.0, {}
)


@asynccontextmanager
async def collector(
    *statuses: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[web.Request], list[bytes]]]:
    """Give a server that answers so, one after the other; its URL, and what it got."""
    requests: list[web.Request] = []
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        # As it came: aiohttp would take a content encoding off.
        bodies.append(await request.read())
        requests.append(request)
        status = statuses[min(len(requests), len(statuses)) - 1]
        headers = {"Location": "/elsewhere"} if status == 307 else {}
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.add_routes([web.post("/{path:.*}", take)])
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, HOST, port, ssl_context=tls).start()
    try:
        yield f"http{'' if tls is None else 's'}://{HOST}:{port}", requests, bodies
    finally:
        await runner.cleanup()


async def sent(environ: dict[str, str]) -> dict[str, int]:
    """Send one span, and return what became of it."""
    sink = OtlpSink(OtlpHttpExporter(environ), "receiver", 10)
    sink.add(SPAN)
    await asyncio.to_thread(sink.shutdown)
    return {outcome: count for outcome, count in sink.counts().items() if count}


async def test_it_is_posted_with_the_headers_that_were_set() -> None:
    async with collector(200) as (url, requests, bodies):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/base/",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b,x-other=c",
        }
        assert await sent(environ) == {"exported": 1}
    (request,), (body,) = requests, bodies
    assert request.path == "/base/v1/traces"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert (request.headers["x-tenant"], request.headers["x-other"]) == ("a b", "c")
    request = ExportTraceServiceRequest.FromString(body)
    assert request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex() == "5" * 32


async def test_the_endpoint_of_traces_is_taken_as_it_stands_and_bodies_may_be_packed() -> None:
    async with collector(200) as (url, requests, bodies):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{url}/own",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        }
        assert await sent(environ) == {"exported": 1}
    assert requests[0].path == "/own"
    assert requests[0].headers["Content-Encoding"] == "gzip"
    assert ExportTraceServiceRequest.FromString(gzip.decompress(bodies[0])).resource_spans


@pytest.mark.parametrize(
    ("statuses", "outcome", "count"),
    [((503, 200), "exported", 2), ((400,), "failed", 1), ((307,), "failed", 1)],
)
async def test_only_what_may_be_tried_again_is(
    statuses: tuple[int, ...], outcome: str, count: int
) -> None:
    async with collector(*statuses) as (url, requests, _):
        exporter = OtlpHttpExporter({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
        result = await asyncio.to_thread(exporter.export, [])
        assert result is (
            SpanExportResult.SUCCESS if outcome == "exported" else SpanExportResult.FAILURE
        )
        assert len(requests) == count


async def test_a_collector_that_is_not_there_is_given_up_in_its_time() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.2",
    }
    exporter = OtlpHttpExporter(environ)
    assert await asyncio.to_thread(exporter.export, []) is SpanExportResult.FAILURE


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n"


@pytest.mark.parametrize(
    ("begin", "again"),
    [(b"HTTP/1.1 200 OK\r\n", b"X"), (HEAD + b"\r\n", b"X"), (b"", b"HTTP/1.1 100 Go\r\n\r\n")],
    ids=["header", "body", "interim answers"],
)
async def test_an_answer_without_end_is_given_up_in_its_time(begin: bytes, again: bytes) -> None:
    left = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(begin)
            while not writer.is_closing():
                writer.write(again)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        left.set()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        port = server.sockets[0].getsockname()[1]
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{HOST}:{port}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3",
        }
        exporter = OtlpHttpExporter(environ)
        results: list[SpanExportResult] = []
        # A thread that nobody has to wait for, should it never end.
        threading.Thread(target=lambda: results.append(exporter.export([])), daemon=True).start()
        await eventually(lambda: results, within=10, saying="the export to be given up")
        assert results == [SpanExportResult.FAILURE]
        # The connection is closed, too.
        await asyncio.wait_for(left.wait(), 10)


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_over_tls_the_authority_that_is_named_is_trusted(
    tmp_path: Path, *, is_trusted: bool
) -> None:
    authority, other = Authority(tmp_path / "own"), Authority(tmp_path / "other")
    server = authority.issue("collector", f"IP:{HOST}")
    trusted = tmp_path / "ca.pem"
    trusted.write_text(authority.pem if is_trusted else other.pem)
    async with collector(200, tls=authority.server_context(server, asks=False)) as (url, got, _):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(trusted),
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5" if is_trusted else "0.3",
        }
        result = await asyncio.to_thread(OtlpHttpExporter(environ).export, [])
    assert (result is SpanExportResult.SUCCESS) == is_trusted == bool(got)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:4318", "ftp://a"])
def test_only_http_is_an_endpoint(url: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        OtlpHttpExporter({"OTEL_EXPORTER_OTLP_ENDPOINT": url})
