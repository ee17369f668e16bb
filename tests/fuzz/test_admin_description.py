"""The admin port keeps to its own OpenAPI description, with NATS and without."""

import asyncio
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from support.programs.ports import HOST
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.receiver_harness import ReceiverHarness
from support.timing.wait import eventually

DESCRIBED = ("/livez", "/load", "/metrics", "/readyz", "/routes")


def check_all(part: Part, statuses: set[int]) -> None:
    """Ask all that the description allows, and hold each answer against it."""
    schema = schemathesis.openapi.from_url(f"http://{HOST}:{part.admin_port}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert sorted(operation.path for operation in operations) == sorted(DESCRIBED)
    cases = st.one_of(*(operation.as_strategy() for operation in operations))
    asked: set[str] = set()

    @settings(max_examples=60, deadline=None, phases=[Phase.generate], database=None)
    @given(case=cases)
    def check(case: schemathesis.Case[Any]) -> None:
        asked.add(case.path)
        # 503 of /readyz is described, and no error of the server.
        answer = case.call_and_validate(excluded_checks=[not_a_server_error])
        assert answer.status_code in statuses

    check()
    assert asked == set(DESCRIBED)


async def test_the_admin_port_keeps_to_its_description(tmp_path: Path) -> None:
    async with ReceiverHarness(tmp_path) as receiver:
        await asyncio.to_thread(check_all, receiver.part, {200})


async def test_the_description_holds_without_nats(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    part = stack.part("receiver")
    try:
        await part.start(until_ready=False)

        async def is_up() -> bool:
            try:
                return (await part.admin("/readyz")).status == 503
            except OSError:
                return False

        await eventually(is_up, within=20, saying="the receiver to say that it is not ready")
        await asyncio.to_thread(check_all, part, {200, 503})
        assert (await part.admin("/readyz")).status == 503
    finally:
        await part.close()
