"""A schedule that cannot be meant is refused, with its field and what to write instead."""

from typing import Any

import pytest

from forebay.core.resource import parse_endpoint
from forebay.core.validation_errors import InvalidEndpoint
from support.operator.operator_inputs import read_manifest

WINDOW = {"name": "campaign", "cron": "0 9 * * MON", "duration": "2h", "messagesPerSecond": 400}


def manifest(*windows: dict[str, Any]) -> dict[str, Any]:
    document = read_manifest("small").model_dump(by_alias=True, exclude_unset=True)
    document["spec"]["throughput"] = {"schedule": list(windows)}
    return document


def test_a_window_is_taken_with_its_defaults() -> None:
    (window,) = parse_endpoint(manifest(WINDOW)).spec.throughput.schedule
    assert (window.time_zone, window.duration, window.lead_time) == ("UTC", 7200, 300)
    assert window.reply_ratio is None


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"cron": "0 9 * *"}, "cron", "write minute, hour"),
        ({"cron": "61 9 * * *"}, "cron", "this is no cron expression (Bad minute)"),
        ({"cron": "0 0 30 2 *"}, "cron", "no cron expression"),
        ({"cron": "@daily"}, "cron", "write minute, hour"),
        ({"timeZone": "Europe/Nowhere"}, "timeZone", "there is no time zone"),
        ({"timeZone": "/etc/passwd"}, "timeZone", "time zone"),
        ({"duration": "30s"}, "duration", "use 1m to 168h"),
        ({"duration": "200h"}, "duration", "use 1m to 168h"),
        ({"leadTime": "25h"}, "leadTime", "use 0s to 24h"),
        ({"messagesPerSecond": 0}, "messagesPerSecond", "1"),
        ({"name": "A campaign"}, "name", "DNS label"),
    ],
)
def test_what_cannot_be_meant_is_named(change: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        parse_endpoint(manifest(WINDOW | change))
    (problem,) = caught.value.problems
    assert problem.field == f"spec.throughput.schedule[0].{field}"
    assert words in problem.reason


def test_two_windows_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidEndpoint, match="two windows are called 'campaign'"):
        parse_endpoint(manifest(WINDOW, WINDOW))
