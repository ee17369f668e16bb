"""A spec that is nested as deep as the API server lets it be costs its own endpoint alone."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from support.operator.operator_process import Forebay, manifest

DEPTH = 1500
"""Beyond what Python reads as it comes; the API server takes 10,000, but is slow with them."""


@pytest.fixture(autouse=True)
def reads_what_is_nested() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(25_000)
    yield
    sys.setrecursionlimit(before)


async def test_an_endpoint_that_is_nested_deep_keeps_the_operator_from_nothing(
    forebay: Forebay,
) -> None:
    nested: dict[str, Any] = {}
    for _ in range(DEPTH):
        nested = {"a": nested}
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "there-before", unknown=nested))
    await forebay.operator().start()
    await forebay.wait_condition("there-before", "Accepted", "InvalidSpec")
    forebay.apply(manifest(forebay.tenant, "there-after", unknown=nested))
    await forebay.wait_condition("there-after", "Accepted", "InvalidSpec")
    forebay.apply(manifest(forebay.tenant, "neighbour"))
    await forebay.wait_condition("neighbour", "ReceiversReady", "NoPodReady")
    forebay.apply(manifest(forebay.tenant, "there-before"))
    await forebay.wait_condition("there-before", "ReceiversReady", "NoPodReady")
