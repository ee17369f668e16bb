"""Of a body only those words are shown that we know the provider to use."""

import subprocess
import sys

import pytest

from forebay.core.items import split
from forebay.core.vocabulary import OTHER, known_word
from support.corpus import Payload

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
