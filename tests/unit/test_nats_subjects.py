"""Subjects of `nats` destinations: never Forebay's own, whatever a manifest or a webhook says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forebay.core.nats_subject import (
    PLACES,
    is_free_subject,
    places_of,
    rendered_subject,
    subject_word,
)
from forebay.core.tables import NatsTarget
from forebay_processor.destinations.nats.destination import NatsDestination
from forebay_processor.destinations.port import Failed, Trouble
from support.destinations.clients import own_nats_client
from support.processor.attempts import attempt


@pytest.mark.parametrize(
    "template",
    [
        "acme",
        "acme.whatsapp",
        "acme.{namespace}.{endpoint}.{destination}.{kind}.{type}.{lane}.{channel}.{conversation}",
        "acme.wa-{kind}_x",
        "forebay-events.x",
        "1.2",
        ".".join(["a"] * 16),
    ],
)
def test_a_template_is_taken(template: str) -> None:
    assert is_free_subject(template)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "forebay",
        "forebay.raw.0",
        "FOREBAY.raw",
        "{namespace}.x",
        "$JS.API.STREAM.DELETE.FOREBAY_RAW_0",
        "$SYS.REQ",
        "_INBOX.x",
        "_x",
        "acme.>",
        "acme.*",
        "acme..x",
        ".acme",
        "acme.",
        "acme.{body}",
        "acme.{kind",
        "acme. x",
        "acme\r\nPUB forebay.raw 0",
        "acme.x\n",
        "a" * 256,
        ".".join(["a"] * 17),
        "acmé",
    ],
)
def test_a_template_is_refused(template: str) -> None:
    assert not is_free_subject(template)


@given(st.dictionaries(st.sampled_from(PLACES), st.text(), min_size=len(PLACES)))
def test_no_value_changes_how_many_words_a_subject_has(values: dict[str, str]) -> None:
    template = "acme." + ".".join(f"{{{place}}}" for place in PLACES)
    subject = rendered_subject(template, values)
    assert subject.count(".") == template.count(".")
    assert re.fullmatch(r"[A-Za-z0-9._-]+", subject)
    assert len(subject) < 1024


@pytest.mark.parametrize("text", ["", "a.b", "a b", "*", ">", "é", "x" * 65, "a\r\nb", "wamid.x="])
def test_what_is_no_word_is_other(text: str) -> None:
    assert subject_word(text) == "other"


def test_places_of_a_template_are_known() -> None:
    assert places_of("acme.{kind}.x-{type}") == {"kind", "type"}


async def test_a_table_made_by_hand_leads_to_no_subject_of_forebay() -> None:
    target = NatsTarget(urls=("nats://127.0.0.1:1",), subject="forebay.raw.0.0.live.demo.meta")
    async with own_nats_client() as client:
        result = await NatsDestination(target, client).deliver(attempt())
        assert isinstance(result, Failed)
        assert result.trouble is Trouble.REFUSED
        other = replace(target, subject="$JS.API.STREAM.DELETE.FOREBAY_RAW_0")
        assert isinstance(await NatsDestination(other, client).deliver(attempt()), Failed)
        assert client.connections == 0
