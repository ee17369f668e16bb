"""Filters and transforms in manifests: what is taken and refused, and the examples of the docs."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from forebay.core.compile import compile_endpoint
from forebay.core.filter_expression import compile_filter
from forebay.core.resource import parse_endpoint
from forebay.core.tables import ProcessorTable, encode_table
from forebay.core.transform_expression import compile_transform
from forebay.core.validation_errors import InvalidEndpoint

PAGE: Final = Path(__file__).parents[2] / "docs" / "filters.md"
HTTP: Final = {"url": "https://crm.example.com/in"}


def manifest(**destination: object) -> dict[str, Any]:
    return {
        "apiVersion": "forebay.dev/v1alpha1",
        "kind": "WebhookEndpoint",
        "metadata": {"namespace": "acme", "name": "shop"},
        "spec": {
            "provider": "meta",
            "authentication": {"none": True},
            "destinations": [{"name": "crm", **destination}],
        },
    }


def refusal(**destination: object) -> str:
    with pytest.raises(InvalidEndpoint) as refused:
        parse_endpoint(manifest(**destination))
    return str(refused.value)


@pytest.mark.parametrize(
    "kind",
    [
        {"http": HTTP},
        {"nats": {"url": "nats://bus.example.com", "subject": "acme.whatsapp"}},
        {"python": {"handler": "acme.bot:handle"}},
    ],
)
def test_both_go_into_the_tables(kind: dict[str, Any]) -> None:
    taken = parse_endpoint(
        manifest(
            filter={"expression": 'kind == "messages"'}, transform={"expression": "data"}, **kind
        )
    )
    (made,) = compile_endpoint(taken, lambda *_: "").destinations
    assert (made.filter, made.transform) == ('kind == "messages"', "data")


@pytest.mark.parametrize(
    "kind",
    [{"log": {}}, {"postgres": {"dsn": {"secretKeyRef": {"name": "warehouse", "key": "dsn"}}}}],
)
def test_what_is_a_row_or_a_line_has_a_filter_and_no_transform(kind: dict[str, Any]) -> None:
    parse_endpoint(manifest(filter={"expression": "superseded"}, **kind))
    assert "`transform` is for http, nats and python" in refusal(
        transform={"expression": "data"}, **kind
    )


@pytest.mark.parametrize("name", ["filter", "transform"])
def test_whole_webhooks_are_no_events(name: str) -> None:
    said = refusal(**{name: {"expression": "superseded"}}, http={**HTTP, "format": "Raw"})
    assert f"`{name}` is for events: set `format: Event`, or remove `{name}`" in said


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (
            {"filter": {"expression": "knd == 'x'"}},
            "filter.expression: at character 1: there is no `knd`",
        ),
        ({"filter": {"expression": ""}}, "use 1 to 1024 characters, not 0"),
        ({"filter": {"expression": "(" * 2000}}, "use 1 to 1024 characters, not 2000"),
        ({"filter": {"expresion": "true"}}, "did you mean `expression`?"),
        ({"filter": "true"}, "filter: "),
        (
            {"transform": {"expression": "data.["}},
            "transform.expression: it ends too early: something is missing at its end",
        ),
        ({"transform": {"expression": "a" * 4097}}, "use 1 to 4096 characters, not 4097"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(
    field: dict[str, object], sentence: str
) -> None:
    said = refusal(http=HTTP, **field)
    assert "acme/shop: spec.destinations[0]." in said
    assert sentence in said


def test_a_table_without_them_can_be_read_by_a_processor_that_does_not_know_them() -> None:
    taken = parse_endpoint(manifest(http=HTTP))
    table = ProcessorTable(generation="", endpoints=(compile_endpoint(taken, lambda *_: ""),))
    assert b"filter" not in encode_table(table)
    assert b"transform" not in encode_table(table)


def test_the_examples_of_the_page_are_expressions() -> None:
    text = PAGE.read_text()
    examples = re.findall(
        r"^\| [a-z][^|]*\| `(.*)` \|$", text.partition("## Examples")[2], re.MULTILINE
    )
    assert len(examples) == 6
    for example in examples[:4]:
        compile_filter(example)
    for example in examples[4:]:
        compile_transform(example)
    (block,) = re.findall(r"```\n(has.*?)```", text, re.DOTALL)
    for line in block.splitlines():
        compile_filter(line)
