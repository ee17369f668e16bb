"""A processor that hands events to Python code: the example, a module of its own, new code."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from forebay.core.tables import Destination, PythonTarget, Retry
from support.destinations.sink import Arrival, Sink
from support.processor.processor_harness import ProcessorHarness, webhook
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "python"
RETRY: Final = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=600)

HANDLER: Final = """
import json, urllib.request
from forebay.handler import Event

def handle(event: Event) -> None:
    text = event.value()["value"]["messages"][0]["text"]["body"]
    body = json.dumps({"id": event.id, "code": "CODE", "text": text}).encode()
    urllib.request.urlopen("URL", body, timeout=5).close()
"""


def to_python(handler: str, start: str = "", stop: str = "") -> Destination:
    target = PythonTarget(handler=handler, start=start, stop=stop, timeout_seconds=10.0)
    return Destination(name="bot", python=target, retry=RETRY)


class PythonProcessor(ProcessorHarness):
    """A processor that may run the example and a module of the tests."""

    def __init__(self, folder: Path, api: Sink) -> None:
        self.api = api
        self.code = folder / "code"
        self.code.mkdir()
        super().__init__(
            folder / "stack",
            FOREBAY_PROCESSOR_PYTHON_MODULES="bot,mine",
            FOREBAY_PROCESSOR_PYTHON_PATH=f"{EXAMPLE},{self.code}",
            FOREBAY_PROCESSOR_PYTHON_RELOAD="true",
            SHOP_API=api.url("/replies"),
        )

    def write(self, code: str) -> None:
        """Write the module, with a word that its requests carry."""
        text = HANDLER.replace("CODE", code).replace("URL", self.api.url("/mine"))
        (self.code / "mine.py").write_text(text)

    def calls(self, path: str) -> list[Arrival]:
        """Return what handlers asked of the API."""
        return [each for each in self.api.arrivals if each.path == path]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PythonProcessor]:
    """Give one, with the API that handlers call."""
    folder = tmp_path_factory.mktemp("python")
    async with Sink() as api:
        harness = PythonProcessor(folder, api)
        harness.write("one")
        async with harness:
            yield harness


async def test_the_example_answers_each_message_once_and_in_order(
    running: PythonProcessor,
) -> None:
    name = running.new_name()
    await running.serve(name, to_python("bot:handle", "start", "stop"), running.http(name))
    keys = await running.send(name, *(f"wamid.{n}" for n in range(5)))
    await eventually(lambda: len(running.calls("/replies")) == 5)
    calls = running.calls("/replies")
    assert [each.headers["idempotency-key"] for each in calls] == keys
    assert "open orders" in json.loads(calls[0].body)["text"]
    # The API is busy: the handler asks for a pause, and the message comes again after it.
    running.api.headers = {"Retry-After": "1"}
    running.api.answer_next(429)
    (key,) = await running.send(name, "wamid.busy")
    await eventually(lambda: len(running.calls("/replies")) == 7)
    running.api.headers = {}
    refused, taken = running.calls("/replies")[5:]
    assert refused.headers["idempotency-key"] == taken.headers["idempotency-key"] == key
    assert (refused.status, taken.status) == (429, 200)
    assert taken.at - refused.at >= 0.9
    # What another destination of the endpoint gets does not wait for the handler.
    await running.wait_delivered(name, [*keys, key])


async def test_an_empty_text_is_rejected_by_the_example(running: PythonProcessor) -> None:
    name = running.new_name()
    await running.serve(name, to_python("bot:handle", "start", "stop"))
    await running.store(name, webhook(("wamid.empty", "15550001234"), text=" "))
    await eventually(lambda: _letters(running, name, 1))


async def _letters(running: PythonProcessor, name: str, count: int) -> bool:
    return await running.letters(name) == count


async def test_a_module_that_no_setting_names_is_refused_and_its_neighbour_goes_on(
    running: PythonProcessor,
) -> None:
    name = running.new_name()
    await running.serve(name, to_python("os:abort"), running.http(name))
    keys = await running.send(name, "wamid.refused")
    await running.wait_delivered(name, keys)

    def said() -> list[str]:
        lines = running.part.logged("breaker_opened")
        return [str(each["reason"]) for each in lines if each["endpoint"] == f"demo/{name}"]

    await eventually(said)
    assert "FOREBAY_PROCESSOR_PYTHON_MODULES" in said()[0]


async def test_new_code_is_run_by_a_new_process_and_nothing_is_lost(
    running: PythonProcessor,
) -> None:
    name = running.new_name()
    await running.serve(name, to_python("mine:handle"))
    before = await running.send(name, "wamid.old")
    await eventually(lambda: len(running.calls("/mine")) == 1)
    running.write("two")
    # In order, and with the status by which `forebay run` knows why.
    await eventually(lambda: not running.part.running, saying="the processor to end")
    assert running.part.logged("handler_code_changed")
    between = await running.send(name, "wamid.between")
    await running.part.start()
    after = await running.send(name, "wamid.new")
    await eventually(lambda: len(running.calls("/mine")) == 3)
    said = [json.loads(each.body) for each in running.calls("/mine")]
    assert [each["id"] for each in said] == [*before, *between, *after]
    # Of a file of the same size and second it would be run though the file is another one.
    assert not (running.code / "__pycache__").exists()
    assert [each["code"] for each in said] == ["one", "two", "two"]
