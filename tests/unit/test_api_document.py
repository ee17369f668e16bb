"""docs/schemas/openapi.json is what the API serves, and its page names every path."""

import re
from pathlib import Path

import pytest

from support.docs.api_document import API_DOCUMENT, document, document_text

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_the_file_is_what_the_api_serves(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        API_DOCUMENT.write_text(document_text())
    assert API_DOCUMENT.read_text() == document_text(), "run `make generate`"


def test_every_path_reads_and_wants_a_token() -> None:
    paths = document()["paths"]
    assert paths
    for path, methods in paths.items():
        assert set(methods) == {"get"}, path
        assert methods["get"]["security"] == [{"HTTPBearer": []}], path
        assert {"200", "400", "401", "403", "429", "503", "504"} <= set(methods["get"]["responses"])


def test_the_page_names_every_path_and_no_other() -> None:
    named = set(re.findall(r"/v1/[a-z{}/]*[a-z}]", PAGE.replace("/v1/openapi.json", "")))
    assert {each for each in named if not re.search(r"/\d|/0", each)} >= set(document()["paths"])
