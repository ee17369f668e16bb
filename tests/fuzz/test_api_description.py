"""The HTTP API keeps to its own OpenAPI document, whatever is asked of it."""

import asyncio
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from forebay.core.api_tokens import ApiScope
from support.api.api_harness import EVERYTHING, ApiHarness
from support.docs.api_document import document
from support.programs.ports import HOST
from support.programs.stack import Stack


def check_all(port: int, token: str) -> None:
    """Ask all that the document allows, and hold each answer against it."""
    schema = schemathesis.openapi.from_url(f"http://{HOST}:{port}/v1/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    paths = sorted(operation.path for operation in operations)
    assert paths == sorted(document()["paths"])
    cases = st.one_of(*(operation.as_strategy() for operation in operations))
    asked: set[str] = set()

    @settings(max_examples=150, deadline=None, phases=[Phase.generate], database=None)
    @given(case=cases)
    def check(case: schemathesis.Case[Any]) -> None:
        asked.add(case.path)
        # No processor runs: 503 of /v1/destinations is described, and no error of the server. What
        # a filter may be is said in words, which the document's types do not know.
        answer = case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"},
            excluded_checks=[not_a_server_error, positive_data_acceptance],
        )
        assert answer.status_code in {200, 400, 404, 503}
        assert answer.status_code != 503 or case.path == "/v1/destinations"

    check()
    assert asked == set(paths)


async def test_the_api_keeps_to_its_document(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        api = ApiHarness(tmp_path / "tokens-of", stack.nats_server.url)
        token = api.write_token(*EVERYTHING, ApiScope.REVEAL)
        await api.part.start()
        try:
            await asyncio.to_thread(check_all, api.part.port, token)
        finally:
            await api.part.close()
        assert api.part.unexpected_errors() == []
