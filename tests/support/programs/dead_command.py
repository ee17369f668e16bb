"""`forebay dead` as a user runs it: what it said, and how it ended."""

import asyncio
import contextlib
import io
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from unittest import mock

from nats.aio.client import Client

from forebay.cli.main import main
from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.subjects import DeadSubject
from support.inputs.splitting import split
from support.processor.processor_harness import webhook
from support.programs.python_process import Ended, PythonProcess, python

__all__ = [
    "PERSON",
    "TEXT",
    "Ended",
    "dead_letter",
    "ended",
    "forebay",
    "forebay_dead",
    "forebay_dead_process",
    "forebay_process",
]

PERSON: Final = "15550007777"
TEXT: Final = "Meet me at the fountain"

COMMAND_SECONDS = 30.0


async def forebay_dead(
    *arguments: str,
    nats_url: str | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run the command in a thread of this process; one at a time, for it has but one stdout.

    A process would pay for its imports: half a second of the machine for each of many commands. The
    test's own loop goes on meanwhile, and with it its sink.
    """
    own = dict(environment or {})
    if nats_url is not None:
        own["FOREBAY_NATS_URL"] = nats_url
    async with asyncio.timeout(COMMAND_SECONDS):
        return await asyncio.to_thread(_call, ("dead", *arguments), own, cwd)


async def forebay(
    *arguments: str, nats_url: str | None = None, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run another verb of the command in the same way."""
    own = dict(environment or {})
    if nats_url is not None:
        own["FOREBAY_NATS_URL"] = nats_url
    async with asyncio.timeout(COMMAND_SECONDS):
        return await asyncio.to_thread(_call, arguments, own, None)


_ONE_AT_A_TIME = threading.Lock()


def _call(arguments: Sequence[str], environment: Mapping[str, str], cwd: Path | None) -> Ended:
    code: int | str | None
    with (
        _ONE_AT_A_TIME,
        mock.patch.dict(os.environ, _environment(environment), clear=True),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = ended.code
    return Ended(code=int(code or 0), out=out.getvalue(), err=err.getvalue())


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FOREBAY_")}
    return {**kept, "PYTHONSAFEPATH": "1", **own}


async def forebay_dead_process(
    *arguments: str, nats_url: str | None = None, cwd: Path | None = None
) -> PythonProcess:
    """Start the command as a user does: a process of its own."""
    return forebay_process("dead", *arguments, nats_url=nats_url, cwd=cwd)


def forebay_process(
    *arguments: str, nats_url: str | None = None, cwd: Path | None = None
) -> PythonProcess:
    """Start another verb of the command as a user does."""
    own = {} if nats_url is None else {"FOREBAY_NATS_URL": nats_url}
    return python("-m", "forebay", *arguments, cwd=cwd, environment=_environment(own))


async def ended(process: PythonProcess) -> Ended:
    """Wait until a process of the command has ended by itself."""
    return await process.ended(within=COMMAND_SECONDS)


async def dead_letter(  # noqa: PLR0913  # each is one thing that distinguishes dead letters
    client: Client,
    message: str,
    *,
    endpoint: str = "demo/meta",
    destination: str = "crm",
    reason: str = "Rejected",
    error: str = "status 422",
    body: bytes | None = None,
) -> str:
    """Store a dead letter as a processor does, of a body's first item; returns its id."""
    item = split("meta", body or webhook((message, PERSON), text=TEXT), time.time())[0]
    subject = DeadSubject("0", EndpointName.parse(endpoint), destination, item.token)
    headers = {
        envelope.RECEIVED_AT: str(int(time.time() * 1000)),
        envelope.ENDPOINT: endpoint,
        envelope.CONVERSATION: item.conversation,
        envelope.ATTEMPTS: "7",
        envelope.REASON: reason,
        envelope.ERROR: error,
    }
    await client.jetstream().publish(str(subject), encode_item(item), headers=headers)
    return item.token
