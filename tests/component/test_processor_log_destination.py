"""The destination `log` says that an item came, and nothing of what is in it."""

import pytest

from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSON = "15550007777"
TEXT = "a text that belongs to somebody"


async def test_a_line_for_each_item_without_its_content(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.log())
    messages = ("wamid.logged.1", "wamid.logged.2")
    await processor.store(name, webhook(*((own, PERSON) for own in messages), text=TEXT))

    def lines() -> list[dict[str, object]]:
        return [each for each in processor.part.logged("item") if each["endpoint"] == name]

    await eventually(lambda: len(lines()) == 2)
    for line, message in zip(lines(), messages, strict=True):
        assert (line["namespace"], line["destination"]) == ("demo", "log")
        assert (line["key"], line["kind"], line["type"]) == (token(message), "messages", "text")
    log = processor.part.log.read_text()
    assert PERSON not in log
    assert TEXT not in log
    assert "wamid.logged" not in log


async def test_it_stands_beside_others(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.log(), processor.http(name))
    keys = await processor.send(name, "wamid.both")
    await processor.wait_delivered(name, keys)
    await eventually(
        lambda: (
            [each["key"] for each in processor.part.logged("item") if each["endpoint"] == name]
            == keys
        )
    )


@pytest.mark.parametrize("kind_type", ["a text of somebody", "\x1b[2J", "x" * 1_000_000])
async def test_a_type_that_no_reference_knows_is_not_said(
    processor: ProcessorHarness, kind_type: str
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.log())
    before = processor.part.log.stat().st_size
    await processor.store(name, webhook(("wamid.odd", PERSON), kind=kind_type))

    def lines() -> list[dict[str, object]]:
        return [each for each in processor.part.logged("item") if each["endpoint"] == name]

    await eventually(lambda: len(lines()) == 1)
    assert lines()[0]["type"] == "other"
    assert processor.part.log.stat().st_size - before < 20_000
