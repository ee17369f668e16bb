"""`forebay tables` makes what a receiver and a processor need that nothing else looks after."""

import os
import signal
import stat
from pathlib import Path
from typing import Final

import pytest

from forebay.core.tables import ReceiverTable, decode_table
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST, free_ports
from support.programs.processes import Part
from support.programs.python_process import PythonProcess, python
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

MANIFEST: Final = """\
apiVersion: forebay.dev/v1alpha1
kind: WebhookEndpoint
metadata: { namespace: acme, name: NAME }
spec:
  provider: generic
  authentication:
    headers:
      - name: Authorization
        values: [{ secretKeyRef: { name: shop, key: token } }]
  destinations: [{ name: log, log: {} }]
"""
VARIABLE: Final = "FOREBAY_SECRET_ACME_SHOP_TOKEN"
TOKEN: Final = "Bearer made-up"


def started(
    folder: Path, nats_url: str, *arguments: str, stderr: int | None = None
) -> PythonProcess:
    environment = {**os.environ, "FOREBAY_NATS_URL": nats_url, VARIABLE: TOKEN}
    command = ["tables", "-f", str(folder / "manifests"), "--out", str(folder / "out")]
    return python("-m", "forebay", *command, *arguments, environment=environment, stderr=stderr)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with one manifest in `manifests`."""
    (tmp_path / "manifests").mkdir()
    write(tmp_path, "shop")
    return tmp_path


def write(folder: Path, name: str, text: str = MANIFEST) -> None:
    (folder / "manifests" / f"{name}.yaml").write_text(text.replace("NAME", name))


def served(folder: Path) -> list[str]:
    """Return the endpoints that a receiver would know."""
    file = folder / "out" / "receiver" / "routes-00.json"
    if not file.exists():
        return []
    return [each.name for each in decode_table(file.read_bytes(), ReceiverTable).routes]


async def test_a_receiver_and_a_processor_work_with_what_it_makes(
    folder: Path, nats_server: NatsServer
) -> None:
    ended = await started(folder, nats_server.url, "--once").ended()
    assert (ended.code, ended.out) == (0, f"ready: 1 endpoints in {folder / 'out'}\n"), ended
    tables = folder / "out"
    parts = [
        Part(kind, folder=folder / kind, nats_url=nats_server.url, table_dir=tables / kind)
        for kind in ("receiver", "processor")
    ]
    receiver, processor = parts
    try:
        for part in parts:
            await part.start()
        path = "/v1/webhooks/acme/shop"
        request = request_bytes("POST", path, headers={"Authorization": TOKEN}, body=b'{"a": 1}')
        assert (await exchange(receiver.port, request)).status == 200
        await eventually(lambda: processor.logged("item"), saying="the item to be delivered")
    finally:
        for part in parts:
            await part.close()


async def test_only_its_user_reads_the_secrets_in_tables(
    folder: Path, nats_server: NatsServer
) -> None:
    assert (await started(folder, nats_server.url, "--once").ended()).code == 0
    for path in (folder / "out").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_it_follows_changes_and_leaves_what_is_in_force_where_one_is_wrong(
    folder: Path, nats_server: NatsServer
) -> None:
    said = folder / "said"
    with said.open("wb") as file:
        process = started(folder, nats_server.url, stderr=file.fileno())
    await eventually(lambda: served(folder) == ["shop"], saying="the first tables")
    write(folder, "other")
    await eventually(lambda: served(folder) == ["other", "shop"], saying="the new endpoint")
    write(folder, "wrong", MANIFEST.replace("generic", "gupshup"))
    await eventually(lambda: "stay in force" in said.read_text(), saying="the report")
    assert served(folder) == ["other", "shop"]
    (folder / "manifests" / "wrong.yaml").unlink()
    write(folder, "third")
    await eventually(lambda: served(folder) == ["other", "shop", "third"], saying="the third")
    process.send_signal(signal.SIGTERM)
    ended = await process.ended()
    assert ended.code == 0
    assert "wrong.yaml" in said.read_text()
    assert TOKEN not in ended.out + said.read_text()


async def test_a_wrong_manifest_is_reported_at_the_start(
    folder: Path, nats_server: NatsServer
) -> None:
    write(folder, "wrong", MANIFEST.replace("generic", "gupshup"))
    ended = await started(folder, nats_server.url).ended()
    assert ended.code == 2
    assert "wrong.yaml" in ended.err
    assert not (folder / "out").exists()


async def test_tables_are_there_before_nats_is(folder: Path) -> None:
    (port,) = free_ports(1)
    process = started(folder, f"nats://{HOST}:{port}", "--once")
    await eventually(lambda: served(folder) == ["shop"], saying="the tables")
    process.send_signal(signal.SIGTERM)
    ended = await process.ended()
    assert "ready" not in ended.out
