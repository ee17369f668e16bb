"""Files are sent byte for byte, in turns; equal bytes are one webhook."""

from pathlib import Path

import pytest

from forebay.core.errors import ConfigurationError
from forebay_simulator.recorded_webhooks import FolderPayloads
from support.inputs.corpus import PAYLOADS


def test_files_come_by_name_byte_for_byte_and_from_the_start_again(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'{ "b": 1 }\n')
    (tmp_path / "a.json").write_bytes(b"not JSON at all \xff")
    (tmp_path / "README.md").write_text("left out")
    source = FolderPayloads(tmp_path)
    taken = [source.take(0.0) for _ in range(5)]
    a, b = b"not JSON at all \xff", b'{ "b": 1 }\n'
    assert [payload.body for payload in taken] == [a, b, a, b, a]
    assert [payload.number for payload in taken] == [0, 1, 0, 1, 0]


def test_files_with_equal_bytes_are_one_webhook_and_an_item_counts_once(tmp_path: Path) -> None:
    text = PAYLOADS["messages-text"].body
    (tmp_path / "1.json").write_bytes(text)
    (tmp_path / "2.json").write_bytes(text)
    (tmp_path / "3.json").write_bytes(text + b"\n")  # other bytes, the same item
    source = FolderPayloads(tmp_path)
    taken = [source.take(0.0) for _ in range(3)]
    assert [payload.number for payload in taken] == [0, 0, 1]
    assert [payload.new_items for payload in taken] == [1, 0, 0]


def test_a_folder_without_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no \.json files in .* one webhook per file"):
        FolderPayloads(tmp_path)
    with pytest.raises(ConfigurationError, match=r"no \.json files"):
        FolderPayloads(tmp_path / "missing")


def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        FolderPayloads(tmp_path)
