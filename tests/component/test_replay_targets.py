"""`forebay dead replay --to` asks the tables of the installation whose letters it has."""

from pathlib import Path

import pytest

from forebay.cli.replay_destination_check import check_target
from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.local.folder import DataFolder
from forebay.local.nats_server import SERVER_NAME, server_config
from support.inputs.tables import Tables, endpoint, http_destination
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST

LETTERS = [EndpointName("acme", "shop")]
ELSEWHERE = f"nats://{HOST}:4222"


def tables_in(folder: Path) -> Path:
    """Write tables that name the destination `crm`; returns where the processor reads them."""
    tables = Tables(folder)
    crm = http_destination("http://crm.example.com/", name="crm")
    tables.write_endpoints(endpoint(crm, name="acme/shop"))
    return tables.processor_folder


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FOREBAY_NATS_URL", "FOREBAY_TABLE_DIR"):
        monkeypatch.delenv(variable, raising=False)


async def test_tables_that_a_run_left_behind_are_not_asked(tmp_path: Path) -> None:
    tables_in(tmp_path / "tables")
    await check_target("other", LETTERS, None, tmp_path)


async def test_the_tables_of_the_run_whose_nats_is_used_are_asked(tmp_path: Path) -> None:
    folder = tables_in(tmp_path / "tables")
    async with NatsServer(tmp_path / "server", name=SERVER_NAME) as server:
        with DataFolder(tmp_path) as data:
            data.nats_config.write_text(server_config(server.port, data.store, data.log("nats")))
            await check_target("crm", LETTERS, None, tmp_path)
            with pytest.raises(ConfigurationError) as caught:
                await check_target("crn", LETTERS, None, tmp_path)
            await check_target("crn", LETTERS, ELSEWHERE, tmp_path)
    assert str(caught.value) == (
        f"--to crn: acme/shop has no such destination in {folder}: did you mean crm?"
    )


async def test_tables_of_the_environment_are_not_those_of_a_nats_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tables_in(tmp_path / "tables")
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(folder))
    monkeypatch.setenv("FOREBAY_NATS_URL", ELSEWHERE)
    await check_target("other", LETTERS, "nats://nats.example.com:4222", tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        await check_target("other", [EndpointName("acme", "none")], None, tmp_path)
    assert str(caught.value) == (
        f"--to other: no table in {folder} names the endpoint acme/none: nothing goes there"
    )


async def test_a_table_that_cannot_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tables_in(tmp_path / "tables")
    (folder / "broken.json").write_text("{")
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(folder))
    with pytest.raises(ConfigurationError, match="did you mean crm"):
        await check_target("crn", LETTERS, None, tmp_path)
    # The endpoint may stand in the table that cannot be read.
    await check_target("other", [EndpointName("acme", "none")], None, tmp_path)


async def test_a_folder_without_a_table_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(tmp_path))
    await check_target("other", LETTERS, None, tmp_path)
