"""What other people's clients send arrives byte for byte, direct and through usual proxies.

Each client is its language's usual one, with its defaults. One whose runtime is missing is skipped,
and the reason says what was not run.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from support.programs.command import run
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.receiver.receiver_harness import TOKEN, ReceiverHarness, path_of, stored_webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

DATA: Final = Path(__file__).parents[1] / "data/interop"

CURL: Final[dict[str, tuple[str, ...]]] = {
    "curl": (),
    "curl --http2": ("--http2",),
    "curl Expect": ("-H", "Expect: 100-continue"),
    "curl chunked": ("-H", "Transfer-Encoding: chunked"),
    "curl --http1.0": ("--http1.0",),
}

PYTHON: Final = ("http.client", "urllib", "urllib3", "requests", "httpx", "aiohttp")

CLIENTS: Final = ("java", "go", "node http", "node fetch", *CURL, *PYTHON)

WAYS: Final = ("direct", "nginx", "haproxy")

SECONDS: Final = 50.0
"""For a client to be compiled and to end; a machine with other work takes its time."""


def needed(program: str) -> str:
    """Return the path of a program; where it is missing, the test is skipped and says so."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/go/bin")
    if found is None:
        pytest.skip(f"NOT RUN: {program} is not on this machine")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver."""
    async with ReceiverHarness(tmp_path_factory.mktemp("interop")) as running:
        yield running


@contextlib.asynccontextmanager
async def proxy(
    name: str, arguments: Sequence[str], receiver: ReceiverHarness, folder: Path
) -> AsyncIterator[int]:
    """Give the port of a proxy in front of the receiver."""
    port = free_port()
    config = folder / name
    template = (DATA / name).read_text()
    config.write_text(template.format(folder=folder, port=port, receiver=receiver.part.port))
    program = Program(name, folder / f"{name}.log")
    program.launch([*arguments, str(config)], cwd=folder)

    try:
        await program.wait_listening(port)
        yield port
    finally:
        await program.end(signal.SIGTERM, within=10)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=WAYS)
async def port(
    request: pytest.FixtureRequest,
    receiver: ReceiverHarness,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[int]:
    """Give the port to which clients send."""
    folder = tmp_path_factory.mktemp("proxy")
    match request.param:
        case "direct":
            yield receiver.part.port
        case "nginx":
            arguments = [needed("nginx"), "-e", str(folder / "error.log"), "-c"]
            async with proxy("nginx.conf", arguments, receiver, folder) as found:
                yield found
        case _:
            async with proxy("haproxy.cfg", [needed("haproxy"), "-f"], receiver, folder) as found:
                yield found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for what is compiled once."""
    return tmp_path_factory.mktemp("built")


def command(client: str, built: Path, url: str, files: Sequence[str]) -> list[str]:
    """Return what runs a client that posts files and prints the status of each answer."""
    given = [url, TOKEN, *files]
    match client.split():
        case ["java"]:
            program, target = needed("java"), built / "Client.class"
            if not target.exists():
                subprocess.run(
                    [needed("javac"), "-d", str(built), str(DATA / "Client.java")],
                    check=True,
                    timeout=SECONDS,
                )
            return [program, "-XX:TieredStopAtLevel=1", "-cp", str(built), "Client", *given]
        case ["go"]:
            target = built / "client"
            if not target.exists():
                environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0"}
                subprocess.run(
                    [needed("go"), "build", "-o", str(target), str(DATA / "client.go")],
                    check=True,
                    timeout=SECONDS,
                    env=environment,
                )
            return [str(target), *given]
        case ["node", which]:
            return [needed("node"), str(DATA / f"client_{which}.mjs"), *given]
        case ["curl", *_]:
            each = [
                *("-s", "-o", os.devnull, "-w", "%{http_code}\\n", "-H", f"Authorization: {TOKEN}"),
                *CURL[client],
            ]
            arguments = [needed("curl")]
            for number, file in enumerate(files):
                arguments += ["--next"] * bool(number)
                arguments += [*each, "--data-binary", f"@{file}", url]
            return arguments
        case _:
            if importlib.util.find_spec(client) is None:
                pytest.skip(f"NOT RUN: {client} is not installed")
            return [sys.executable, str(DATA / "client.py"), client, *given]


@pytest.mark.parametrize("client", CLIENTS)
async def test_what_was_answered_200_is_stored_byte_for_byte(
    receiver: ReceiverHarness, port: int, client: str, built: Path, tmp_path: Path
) -> None:
    bodies = [
        receiver.new_body(),
        # Larger than any buffer on the way, and with what is no text.
        bytes(range(256)) * 1_200,
        b'{"line": "\r\n\r\nPOST / HTTP/1.1\r\n", "letters": "\xc3\xa4\xf0\x9f\x8c\x8a"}',
    ]
    files = [tmp_path / str(number) for number in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(body + tmp_path.name.encode())
    url = f"http://{HOST}:{port}{path_of('d360')}"
    before = await receiver.stored()
    said = await run(*command(client, built, url, [str(file) for file in files]), within=SECONDS)
    statuses = said.split()
    assert set(statuses) == {"200"}
    assert len(statuses) % len(files) == 0
    async with receiver.stack.nats_server.client() as nats:
        after = await receiver.stored()
        stored = [(await stored_webhook(nats, each + 1)).data for each in range(before, after)]
    # Equal bodies within two minutes are stored once.
    assert stored == [file.read_bytes() for file in files]
