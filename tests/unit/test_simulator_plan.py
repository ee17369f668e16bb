"""A plan that cannot be played is refused in one sentence before anything is sent."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forebay.core.errors import ConfigurationError
from forebay_simulator.plan import Plan, parse_header

GOOD = Plan(url="http://127.0.0.1:8080/v1/webhooks/demo/meta", rate=10, duration=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "hooks.example.com"}, "it has to be of the form http://127"),
        ({"url": "ftp://127.0.0.1/"}, "it has to be of the form http://127"),
        ({"url": "http://127.0.0.1:port/"}, "is no URL"),
        ({"url": "https://hooks.example.com/x"}, "needs their consent: give --allow-remote"),
        ({"url": "http://127.0.0.1.example.com/x"}, "needs their consent"),
        ({"url": "http://localhost@example.com/x"}, "example.com is not this machine"),
        ({"rate": 0}, "the rate has to be above 0"),
        ({"rate": float("nan")}, "the rate has to be above 0"),
        ({"rate": 1e6}, "at most 20,000 webhooks per second"),
        ({"duration": -1}, "the duration has to be above 0"),
        ({"rate": 1000, "duration": 3600}, "3,600,000 webhooks are more than the 2,000,000"),
        ({"batch": 0}, "from 1 to 1000 items, not 0"),
        ({"batch": 1001}, "from 1 to 1000 items"),
        ({"batch": 2, "payloads": Path("folder")}, "leave out either the batch or the payloads"),
        ({"duplicates": 1.5}, "a share from 0 to 1, not 1.5"),
        ({"retry_for": -1}, "retry-for has to be 0 to"),
        ({"connections": 0}, "at least one connection"),
        ({"secret": ""}, "the secret is empty"),
        ({"headers": (("Bad Name", "x"),)}, "give it as 'Name: value'"),
        ({"headers": (("X-Split", "a\r\nX-Other: b"),)}, "cannot be sent"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        replace(GOOD, **change)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "http://127.8.8.8/", "http://[::1]:8080/x", "https://localhost"]
)
def test_this_machine_is_allowed_by_any_of_its_names(url: str) -> None:
    assert replace(GOOD, url=url).url == url


def test_others_are_allowed_when_it_is_said_out_loud() -> None:
    url = "https://hooks.example.com/x"
    assert replace(GOOD, url=url, allow_remote=True).url == url


def test_a_header_is_read_as_one_writes_it() -> None:
    assert parse_header("Authorization: Bearer a:b") == ("Authorization", "Bearer a:b")


@pytest.mark.parametrize("text", ["", "no colon", ": value", "two words: value"])
def test_what_is_no_header_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError, match="such as 'Authorization: Bearer my-token'"):
        parse_header(text)
