"""Of a body only those words are shown that we know the provider to use."""

import json
import subprocess
import sys

import pytest

from forebay.core.provider_vocabulary import OTHER, known_word
from support.inputs.corpus import Payload
from support.inputs.splitting import split

CRASH = """
import asyncio, logging, structlog
from forebay.runtime.logging import configure_logging
from forebay.runtime.settings import LogSettings
configure_logging(LogSettings(format={form!r}), part="test")
log = structlog.get_logger("test")
try:
    try:
        int("a private text")
    except ValueError as error:
        raise RuntimeError("another private text") from error
except RuntimeError as crash:
    log.error("crashed", exc_info=crash)
    log.error("crashed", exc_info=True)
    logging.getLogger("library").error("a library crashed", exc_info=True)
"""


def test_every_type_of_the_corpus_is_known(payload: Payload) -> None:
    for item in split("360dialog", payload.body, 0.0):
        if item.kind != "unknown":
            assert known_word(item.type) == item.type


@pytest.mark.parametrize(
    "text", ["", "hello", "text ", "te\nxt", "15550001234", "x" * 3_000_000, "ﬁeld", "TEXT\x00"]
)
def test_what_is_not_known_is_other(text: str) -> None:
    assert known_word(text) == OTHER


LONELY = """
import asyncio, gc
from forebay.runtime.logging import configure_logging, log_loop_errors
from forebay.runtime.settings import LogSettings
configure_logging(LogSettings(), part="test")

async def fail(text):
    raise ValueError(text)

def crash(text):
    raise KeyError(text)

async def main():
    loop = asyncio.get_running_loop()
    log_loop_errors(loop)
    task = loop.create_task(fail("a private text"))
    await asyncio.wait([task])
    del task
    gc.collect()
    loop.call_soon(crash, "a private text")
    await asyncio.sleep(0)
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_what_fails_where_nobody_waits_is_logged_by_kind_and_place() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LONELY], capture_output=True, text=True, timeout=20, check=True
    )
    assert "private text" not in done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("loop_error", "error")] * 2
    assert lines[0]["what"] == "Task exception was never retrieved"
    assert "ValueError" in lines[0]["exception"]
    assert "in fail" in lines[0]["exception"]
    assert lines[1]["what"] == "Exception in callback"
    assert "KeyError" in lines[1]["exception"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_text_of_an_exception_is_not_logged(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(form=form)],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert "private text" not in done.stderr
    assert done.stderr.count("RuntimeError") == 3
    assert done.stderr.count("ValueError") == 3
    assert "in <module>" in done.stderr
