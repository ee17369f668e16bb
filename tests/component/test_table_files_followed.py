"""Table files in a folder: what changed is in force, what cannot be used changes nothing."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forebay.core.tables import ReceiverTable, encode_table
from forebay.runtime.table_files import TableFiles
from support.inputs.tables import Tables, route, write_atomically


class Follower:
    """Follows a folder and notes what came into force."""

    def __init__(self, folder: Path) -> None:
        self.changes: list[list[str]] = []
        self.files = TableFiles(folder, ReceiverTable, self._note)

    def _note(self, tables: Mapping[str, ReceiverTable]) -> None:
        names = [str(one.endpoint) for table in tables.values() for one in table.routes]
        self.changes.append(sorted(names))


@pytest.fixture
def follower(tables: Tables) -> Follower:
    return Follower(tables.receiver_folder)


def test_what_is_there_is_read(tables: Tables, follower: Follower) -> None:
    generation = tables.write_routes(route())
    assert not follower.files.is_loaded
    assert follower.files.refresh()
    assert follower.files.is_loaded
    assert follower.files.generations == {"0.json": generation}
    assert follower.changes == [["demo/meta"]]


def test_nothing_new_is_no_change(tables: Tables, follower: Follower) -> None:
    tables.write_routes(route())
    assert follower.files.refresh()
    assert not follower.files.refresh()
    assert len(follower.changes) == 1


def test_a_changed_file_replaces_what_it_said(tables: Tables, follower: Follower) -> None:
    tables.write_routes(route())
    tables.write_routes(route("demo/beside"), file="1.json")
    follower.files.refresh()
    tables.write_routes(route("demo/other"))
    assert follower.files.refresh()
    assert follower.changes[-1] == ["demo/beside", "demo/other"]


def test_a_file_that_goes_takes_its_endpoints_along(tables: Tables, follower: Follower) -> None:
    tables.write_routes(route())
    tables.write_routes(route("demo/beside"), file="1.json")
    follower.files.refresh()
    (tables.receiver_folder / "0.json").unlink()
    assert follower.files.refresh()
    assert follower.changes[-1] == ["demo/beside"]
    assert set(follower.files.generations) == {"1.json"}


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 2, "generation": "9"}', b"\xff" * 100])
def test_a_file_that_cannot_be_used_leaves_the_one_before_in_force(
    tables: Tables, follower: Follower, data: bytes
) -> None:
    generation = tables.write_routes(route())
    follower.files.refresh()
    write_atomically(tables.receiver_folder / "0.json", data)
    assert not follower.files.refresh()
    assert follower.files.generations == {"0.json": generation}
    tables.write_routes(route("demo/mended"))
    assert follower.files.refresh()
    assert follower.changes == [["demo/meta"], ["demo/mended"]]


def test_a_bad_file_does_not_keep_a_good_one_out(tables: Tables, follower: Follower) -> None:
    write_atomically(tables.receiver_folder / "0.json", b"{")
    tables.write_routes(route(), file="1.json")
    assert follower.files.refresh()
    assert follower.changes == [["demo/meta"]]


def test_a_change_of_the_same_size_at_the_same_moment_is_seen(
    tables: Tables, follower: Follower
) -> None:
    names = ("demo/aaaa", "demo/bbbb")
    for number, name in enumerate(names):
        table = ReceiverTable(generation="same", routes=(route(name),))
        write_atomically(tables.receiver_folder / "0.json", encode_table(table))
        assert follower.files.refresh(), number
    assert follower.changes == [["demo/aaaa"], ["demo/bbbb"]]


def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    """The kubelet replaces mounted Secrets so."""
    for number, name in enumerate(("demo/first", "demo/second")):
        data = tmp_path / f"data-{number}"
        data.mkdir()
        table = ReceiverTable(generation=str(number), routes=(route(name),))
        (data / "0.json").write_bytes(encode_table(table))
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "..data").symlink_to(tmp_path / "data-0")
    (folder / "0.json").symlink_to(Path("..data") / "0.json")
    follower = Follower(folder)
    assert follower.files.refresh()
    (folder / "..turned").symlink_to(tmp_path / "data-1")
    (folder / "..turned").replace(folder / "..data")
    assert follower.files.refresh()
    assert follower.changes == [["demo/first"], ["demo/second"]]


def test_drafts_and_other_files_are_no_tables(tables: Tables, follower: Follower) -> None:
    for name in (".0.json.draft", "notes.txt", "0.json.bak"):
        (tables.receiver_folder / name).write_bytes(b"{odd")
    assert not follower.files.refresh()
    assert not follower.files.is_loaded


def test_a_folder_that_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "late" / "receiver")
    assert not follower.files.refresh()
    Tables(tmp_path / "late").write_routes(route())
    assert follower.files.refresh()
    assert follower.changes == [["demo/meta"]]


def test_a_folder_that_goes_and_comes_back_is_no_error(tables: Tables, follower: Follower) -> None:
    tables.write_routes(route())
    follower.files.refresh()
    moved = tables.receiver_folder.rename(tables.receiver_folder.with_name("moved"))
    follower.files.refresh()
    moved.rename(tables.receiver_folder)
    follower.files.refresh()
    assert follower.files.generations.keys() == {"0.json"}
