"""Without an endpoint for traces nothing of OpenTelemetry's SDK is imported by any part."""

import asyncio
import json
import os
import sys

PROGRAM = """
import json, sys
from forebay.runtime.start_tracing import start_tracing
from forebay.runtime.tracing import TraceSettings
import forebay_receiver.main, forebay_receiver.handlers.admin, forebay_processor.main
tracer = start_tracing("receiver", TraceSettings())
wanted = ("opentelemetry.sdk", "opentelemetry.exporter", "grpc", "google", "requests")
print(json.dumps([tracer is None, [name for name in sys.modules if name.startswith(wanted)]]))
"""


async def test_nothing_is_imported_without_an_endpoint() -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    # An interpreter of its own: the tests' nursery has imported what all tests need.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM), stdout=asyncio.subprocess.PIPE, env=kept
    )
    output, _ = await process.communicate()
    assert json.loads(output) == [True, []]
