"""What `forebay run` writes where there is no terminal."""

from dataclasses import replace

import pytest

from forebay.local.metrics_reader import EndpointCounts
from forebay.local.reporters import PlainReporter
from forebay.local.troubles import DestinationStates, TroubledDestination

CRM = TroubledDestination(
    endpoint="acme/shop",
    destination="crm",
    state="Failing",
    reason="status 503",
    failures=7,
    failing_seconds=200.0,
    next_attempt_seconds=None,
    waiting=0,
)
ERP = replace(CRM, destination="erp")


def test_a_trouble_has_a_line_when_it_begins_and_when_it_comes_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = PlainReporter()

    def printed(*destinations: TroubledDestination, paused: tuple[str, ...] = ()) -> list[str]:
        reporter.counts({}, DestinationStates(destinations=destinations, paused=paused), ())
        return capsys.readouterr().out.splitlines()

    crm = "acme/shop → crm: failing: status 503 for 3 min"
    assert printed(CRM) == [crm]
    assert printed(replace(CRM, state="Open", failing_seconds=260.0)) == []
    assert printed(CRM, ERP, paused=("acme/shop",)) == [
        "acme/shop → erp: failing: status 503 for 3 min",
        "acme/shop: paused",
    ]
    assert printed(CRM, ERP, paused=("acme/shop",)) == []
    assert printed() == []
    assert printed(CRM) == [crm]


def test_a_webhook_that_is_not_taken_and_one_that_cannot_be_split_have_their_reasons(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reporter = PlainReporter()

    def printed(counts: EndpointCounts, *paused: str) -> list[str]:
        reporter.counts({"acme/shop": counts}, DestinationStates(paused=paused), ())
        return [line for line in capsys.readouterr().out.splitlines() if "received" not in line]

    wrong = EndpointCounts(refused=1, refused_reasons={"header_wrong": 1})
    assert printed(wrong) == ["acme/shop: 1 not taken, header_wrong"]
    assert printed(EndpointCounts(refused=2, refused_reasons={"header_wrong": 2})) == []
    both = EndpointCounts(
        refused=2, refused_reasons={"header_wrong": 2}, unreadable_reasons={"NotJson": 1}
    )
    assert printed(both, "acme/shop") == [
        "acme/shop: 1 unreadable bodies, NotJson",
        "acme/shop: paused",
    ]
    assert printed(both, "acme/shop") == []
