"""The figures: percentiles, the JSON line and the table."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from forebay_simulator.ledger import WebhookRecord
from forebay_simulator.report import AckLatency, Result, percentile


def result(**changes: object) -> Result:
    figures: dict[str, object] = {
        "sent": 1_000,
        "accepted": 1_000,
        "refused": {},
        "repeats": 0,
        "retries": 0,
        "items": 1_000,
        "ack_ms": AckLatency(p50=1.0, p95=2.0, p99=3.0, max=4.0),
        "seconds": 10.0,
        "behind_ms": 1.0,
        "planned": 1_000,
        "started": 1_000,
        "seed": 7,
    }
    return Result(**{**figures, **changes})  # type: ignore[arg-type]  # checked by what is shown


def shown(what: Result) -> str:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(what.to_table())
    return captured.get()


def test_percentiles_are_values_that_were_measured() -> None:
    seconds = [number / 1000 for number in range(1, 201)]
    assert AckLatency.of(seconds[::-1]) == AckLatency(p50=100.0, p95=190.0, p99=198.0, max=200.0)
    assert AckLatency.of([0.004]) == AckLatency(p50=4.0, p95=4.0, p99=4.0, max=4.0)


def test_without_an_answer_there_is_no_latency() -> None:
    assert AckLatency.of([]) == AckLatency(p50=None, p95=None, p99=None, max=None)
    (row,) = [
        line for line in shown(result(ack_ms=AckLatency.of([]))).splitlines() if "p99" in line
    ]
    assert row.replace("│", " ").split() == ["ack", "p99", "-"]


@given(
    values=st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=300),
    share=st.floats(min_value=0.001, max_value=1),
)
def test_a_percentile_is_not_exceeded_by_its_share(values: list[float], share: float) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    assert sum(value < found for value in values) < share * len(values) + 1e-6


def test_the_json_line_has_the_figures_that_programs_read() -> None:
    line = result(accepted=998, refused={"timeout": 2, "503": 4}, retries=4, repeats=5).to_json()
    assert json.loads(line) == {
        "sent": 1_000,
        "accepted": 998,
        "refused": {"503": 4, "timeout": 2},
        "repeats": 5,
        "retries": 4,
        "items": 1_000,
        "ack_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0},
        "seconds": 10.0,
        "behind_ms": 1.0,
        "seed": 7,
    }
    assert "\n" not in line


def test_the_table_shows_what_was_refused_and_what_was_lost() -> None:
    text = shown(result(accepted=990, refused={"503": 1_234, "connection": 5}, repeats=12))
    for expected in ("990", "10 never answered 200", "refused: 503", "1,234", "connection", "12"):
        assert expected in text


def test_a_sender_that_fell_behind_says_so() -> None:
    assert "behind its schedule" not in shown(result(behind_ms=49))
    assert "up to 812 ms behind its schedule" in shown(result(behind_ms=812))


def test_an_early_end_is_said() -> None:
    assert "Ended early: 12 of 1,000 webhooks." in shown(result(sent=10, accepted=10, started=12))


def test_accepted_keys_are_those_of_accepted_webhooks() -> None:
    ledger = (
        WebhookRecord(index=0, keys=("a", "b"), accepted=True, attempts=1),
        WebhookRecord(index=1, keys=("c",), accepted=False, attempts=4),
    )
    assert result(ledger=ledger).accepted_keys == {"a", "b"}


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("connection", "Nothing listens there: start `forebay run`"),
        ("401", "--secret takes the secret of the endpoint's `signature`"),
        ("401", "a client certificate cannot be sent from here"),
        ("403", "Forebay answers no webhook so: a proxy or a firewall before it does"),
        ("404", "/v1/webhooks/<namespace>/<name>"),
        ("503", "is NATS there"),
        ("418", "forebay_receiver_refused_total{reason}"),
    ],
)
def test_where_nothing_is_accepted_it_says_what_to_do(status: str, advice: str) -> None:
    assert advice in result(accepted=0, refused={"429": 1, status: 9}).advice
    text = " ".join(shown(result(accepted=0, refused={status: 9})).split())
    assert advice in text
    assert result(accepted=1, refused={status: 9}).advice == ""
