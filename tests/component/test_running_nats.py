"""Commands find the NATS of a run on this machine, and no other one in its place."""

import re
from pathlib import Path

import pytest

from forebay.core.errors import ForebayError
from forebay.local import nats_server
from forebay.local.find_running_nats import running_nats
from forebay.local.folder import DataFolder
from support.nats.nats_server import NatsServer
from support.programs.dead_command import forebay_dead
from support.programs.ports import free_port


def written(folder: DataFolder, port: int) -> None:
    """Leave the configuration of a run's nats-server behind."""
    config = nats_server.server_config(port, folder.store, folder.log("nats"))
    folder.nats_config.write_text(config)


async def test_without_a_run_there_is_none(tmp_path: Path) -> None:
    assert await running_nats(tmp_path) is None
    with DataFolder(tmp_path) as folder:
        assert await running_nats(tmp_path) is None, "a run with a NATS of the user's own"
        written(folder, free_port())
    assert await running_nats(tmp_path) is None, "a run that was killed"


async def test_a_run_whose_nats_is_silent_is_reported_with_its_port(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats") as server:
        with DataFolder(tmp_path / "data") as folder:
            written(folder, server.port)
            server.freeze()
            try:
                with pytest.raises(ForebayError, match=f"does not answer at port {server.port}: "):
                    await running_nats(folder.root)
                ended = await forebay_dead("ls", "--data-dir", str(folder.root))
            finally:
                server.thaw()
    assert ended.code == 1
    message = (
        rf"process \d+\) does not answer at port {server.port}: wait until it has started, look at"
    )
    assert re.search(message, ended.err)


async def test_a_run_whose_nats_is_gone_is_reported_too(tmp_path: Path) -> None:
    port = free_port()
    with DataFolder(tmp_path) as folder:
        written(folder, port)
        with pytest.raises(ForebayError, match=f"does not answer at port {port}: wait until "):
            await running_nats(tmp_path)
