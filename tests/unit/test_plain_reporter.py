"""What `forebay run` writes where there is no terminal."""

from dataclasses import replace

import pytest

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
