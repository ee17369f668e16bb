"""`forebay run` brings all up in order around a real nats-server, and keeps it so.

Receiver and processor are small programs here that answer on their admin ports: what is tested is
what holds them together. `test_run_command` has the real ones.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import nats
import psutil
import pytest

from forebay.core.errors import ConfigurationError
from forebay.core.tables import ProcessorTable, ReceiverTable, decode_table
from forebay.local.child import PartFailed
from forebay.local.find_running_nats import running_nats
from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.nats_server import SERVER_NAME, server_config
from forebay.local.options import Options, Programs
from forebay.local.reporters import Facts
from forebay.local.supervisor import LocalSupervisor
from forebay.local.troubles import DestinationStates
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST, free_ports
from support.timing.wait import eventually

ENDPOINT = """\
apiVersion: forebay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {namespace: demo, name: NAME}
spec:
  provider: meta
  authentication:
    signature: {secrets: [{secretKeyRef: {name: app, key: secret}}]}
  destinations: [{name: log, log: {}}]
"""

ODD_SECRET = r"""---
apiVersion: v1
kind: Secret
metadata: {namespace: demo, name: odd}
stringData: {secret: "zx9\r\n"}
"""

PART = """\
import http.server, json, os, signal, sys
part = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({k: v for k, v in os.environ.items() if "FOREBAY" in k}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

address = (os.environ[f"FOREBAY_{part}_ADMIN_HOST"], int(os.environ[f"FOREBAY_{part}_ADMIN_PORT"]))
http.server.HTTPServer(address, Page).serve_forever()
"""


class Recorder:
    """A reporter that remembers what it was given."""

    counts_seconds = 0.05

    def __init__(self) -> None:
        self.facts: list[Facts] = []
        self.changes: list[Facts] = []
        self.printed: list[str] = []
        self.warnings: list[str] = []
        self.shown = 0

    def ready(self, facts: Facts) -> None:
        """Remember the facts."""
        self.facts.append(facts)

    def changed(self, facts: Facts) -> None:
        """Remember the change."""
        self.changes.append(facts)

    def info(self, text: str) -> None:
        """Remember the text."""
        self.printed.append(text)

    def warn(self, text: str) -> None:
        """Remember the warning."""
        self.warnings.append(text)

    def counts(
        self,
        rows: Mapping[str, EndpointCounts],
        states: DestinationStates,
        latest: Sequence[LastItem],
    ) -> None:
        """Count the call."""
        del rows, states, latest
        self.shown += 1

    def close(self) -> None:
        """Have nothing to end."""


class Bench:
    """A folder with manifests, and runs over it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self.data = folder / "data"
        self.environment = {
            **os.environ,
            "FOREBAY_SECRET_DEMO_APP_SECRET": "s3",
            "FOREBAY_MARK": "x",
        }
        self._part = folder / "part.py"
        self._part.write_text(PART)
        self.write("meta", ENDPOINT)

    def write(self, name: str, text: str) -> None:
        """Write a manifest."""
        (self.manifests / f"{name}.yaml").write_text(text.replace("NAME", name))

    def supervisor(self, reporter: Recorder, **options: str) -> LocalSupervisor:
        """Return a run that was not started yet."""
        port, admin, processor_admin = free_ports(3)
        chosen = Options(
            files=(self.manifests,),
            data_dir=self.data,
            port=int(options.get("port", port)),
            admin_port=admin,
            processor_admin_port=processor_admin,
            nats_url=options.get("nats_url"),
        )
        programs = Programs(
            receiver=(sys.executable, options.get("receiver", str(self._part)), "RECEIVER"),
            processor=(sys.executable, str(self._part), "PROCESSOR"),
        )
        return LocalSupervisor(chosen, reporter, self.environment, programs)

    @contextlib.asynccontextmanager
    async def running(self, **options: str) -> AsyncIterator[Recorder]:
        """Give a run that is ready; it is stopped in order at the end."""
        reporter = Recorder()
        supervisor = self.supervisor(reporter, **options)
        task = asyncio.create_task(supervisor.run())
        try:
            await eventually(lambda: reporter.facts or task.done(), within=20)
            if not task.done():
                yield reporter
        finally:
            supervisor.request_stop()
            await task

    def receiver_table(self) -> ReceiverTable:
        """Return what the receiver would read."""
        data = (self.data / "tables" / "receiver" / "routes-00.json").read_bytes()
        return decode_table(data, ReceiverTable)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_all_parts_come_up_with_streams_and_tables_and_go_again(bench: Bench) -> None:
    async with bench.running() as reporter:
        [facts] = reporter.facts
        processes = {name: psutil.Process(pid) for name, pid in facts.pids.items()}
        client = await nats.connect(facts.nats)
        names = {info.config.name for info in await client.jetstream().streams_info()}
        await client.close()
        await eventually(lambda: reporter.shown > 1, saying="figures to be shown")
    assert names == {
        f"FOREBAY_{each}_0" for each in ("RAW", "EVENTS", "RETRY", "DEAD", "LEASE", "INDEX")
    }
    assert facts.seconds < 5
    assert [sample.endpoint for sample in facts.samples] == ["demo/meta"]
    assert [route.name for route in bench.receiver_table().routes] == ["meta"]
    processor = (bench.data / "tables" / "processor" / "endpoints-00.json").read_bytes()
    assert [each.name for each in decode_table(processor, ProcessorTable).endpoints] == ["meta"]
    assert set(processes) == {"run", "nats", "processor", "receiver"}
    assert [name for name, process in processes.items() if process.is_running()] == ["run"]
    assert reporter.warnings == []
    assert reporter.printed[-1] == f"stopped; what is stored waits in {bench.data / 'nats'}"


async def test_parts_get_their_settings_and_no_secrets_by_environment(bench: Bench) -> None:
    async with bench.running() as reporter:
        [facts] = reporter.facts
        reader, writer = await asyncio.open_connection(
            HOST, int(facts.receiver_admin.rpartition(":")[2])
        )
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert seen["FOREBAY_NATS_URL"] == facts.nats
    assert seen["FOREBAY_TABLE_DIR"] == str(bench.data / "tables" / "receiver")
    assert seen["FOREBAY_SHARDS"] == "0"
    assert seen["FOREBAY_LOG_FORMAT"] == "json"
    assert seen["FOREBAY_MARK"] == "x"
    assert "FOREBAY_SECRET_DEMO_APP_SECRET" not in seen


async def test_a_second_start_goes_on_with_what_was_stored(bench: Bench) -> None:
    async with bench.running() as reporter:
        client = await nats.connect(reporter.facts[0].nats)
        await client.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"kept")
        await client.close()
    async with bench.running() as reporter:
        client = await nats.connect(reporter.facts[0].nats)
        message = await client.jetstream().get_msg("FOREBAY_RAW_0", 1)
        await client.close()
    assert message.data == b"kept"


async def test_an_edited_manifest_is_in_force_and_a_bad_edit_is_not(bench: Bench) -> None:
    async with bench.running() as reporter:
        bench.write("second", ENDPOINT)
        await eventually(lambda: reporter.changes)
        assert [sample.endpoint for sample in reporter.changes[-1].samples] == [
            "demo/meta",
            "demo/second",
        ]
        before = bench.receiver_table()
        assert [route.name for route in before.routes] == ["meta", "second"]

        bench.write("second", ENDPOINT.replace("provider: meta", "provider: nobody"))
        await eventually(lambda: reporter.warnings)
        [warning] = reporter.warnings
        assert "second.yaml:5: demo/second: spec.provider: use '360dialog'" in warning
        assert warning.endswith("\nthe manifests of before stay in force")
        assert bench.receiver_table() == before

        bench.write("second", ENDPOINT)
        await eventually(lambda: len(reporter.changes) > 1)
        assert len(reporter.warnings) == 1


async def test_the_line_of_an_edited_manifest_brings_a_new_item_and_no_variant(
    bench: Bench,
) -> None:
    async with bench.running() as reporter:
        bench.write("second", ENDPOINT)
        await eventually(lambda: reporter.changes)
    lines = [facts[0].samples[0].curl for facts in (reporter.facts, reporter.changes)]
    ids = {name for line in lines for name in re.findall(r"wamid\.try-\w+", line)}
    assert len(ids) == 2, lines


async def test_a_secret_that_looks_like_a_mistake_is_reported_with_its_place(bench: Bench) -> None:
    async with bench.running() as reporter:
        bench.write("second", ENDPOINT.replace("{name: app,", "{name: odd,") + ODD_SECRET)
        await eventually(lambda: reporter.changes)
        [warning] = reporter.warnings
        assert "second.yaml:7: demo/second: spec.authentication.signature.secrets[0]" in warning
        assert "ends with a carriage return" in warning
        assert "zx9" not in warning


async def test_a_nats_server_that_dies_comes_back_with_its_store(bench: Bench) -> None:
    async with bench.running() as reporter:
        [facts] = reporter.facts
        client = await nats.connect(facts.nats)
        await client.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"kept")
        await client.close()
        os.kill(facts.pids["nats"], signal.SIGKILL)
        await eventually(lambda: reporter.warnings)
        assert reporter.warnings == ["nats ended (SIGKILL); starting it again in 0.1 s"]
        client = await nats.connect(facts.nats, max_reconnect_attempts=50, reconnect_time_wait=0.1)
        assert (await client.jetstream().get_msg("FOREBAY_RAW_0", 1)).data == b"kept"
        await client.close()


async def test_a_part_that_does_not_stay_up_ends_the_run(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no licence to listen')")
    with pytest.raises(PartFailed, match=r"receiver ended 3 times .* no licence to listen$"):
        await bench.supervisor(Recorder(), receiver=str(broken)).run()


async def test_a_second_run_on_the_same_folder_is_refused(bench: Bench) -> None:
    async with bench.running():
        with pytest.raises(ConfigurationError, match="another `forebay run`"):
            await bench.supervisor(Recorder()).run()


@pytest.mark.parametrize("is_own", [True, False])
async def test_the_nats_of_the_run_before_is_not_found_while_one_starts(
    bench: Bench, tmp_path: Path, *, is_own: bool
) -> None:
    # Whoever has its port by now, even another run.
    async with NatsServer(tmp_path / "other", name=SERVER_NAME) as other:
        bench.data.mkdir()
        config = server_config(other.port, bench.data / "nats", bench.data / "nats.log")
        (bench.data / "nats-server.conf").write_text(config)
        assert await running_nats(bench.data) == other.url
        with socket.create_server((HOST, 0)) as taken:
            options = {"port": str(taken.getsockname()[1])}
            if not is_own:
                options["nats_url"] = f"nats://{HOST}:1"
            with pytest.raises(ConfigurationError, match="is taken"):
                await bench.supervisor(Recorder(), **options).run()
        assert await running_nats(bench.data) is None


async def test_a_nats_of_the_users_own_is_used_and_waited_for(bench: Bench, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "server")
    url = server.url.replace("//", "//user:pass@")
    async with bench.running(nats_url=url) as reporter:
        [facts] = reporter.facts
        [warning] = reporter.warnings
        assert warning.startswith(f"waiting for NATS at {server.url}: until it comes, webhooks are")
        assert facts.nats == server.url
        assert "nats" not in facts.pids
        async with server, server.client() as client:
            streams = client.jetstream()

            async def there() -> bool:
                return len(await streams.streams_info()) == 6

            await eventually(there, saying="the streams to be made")
