"""What several processors say of one destination is put together."""

from forebay.core.control import (
    ControlAnswer,
    DestinationCondition,
    DestinationReport,
    merged,
)

CRM = DestinationReport(endpoint="acme/shop", destination="crm", state=DestinationCondition.UP)


def test_the_worst_state_counts_with_its_reason_and_what_waits_is_added_up() -> None:
    well = ControlAnswer(
        processor="a",
        destinations=(
            DestinationReport(
                endpoint="acme/shop",
                destination="crm",
                state=DestinationCondition.FAILING,
                reason="timeout",
                waiting=3,
                blocked=1,
                oldest_seconds=10,
                expires_seconds=500,
                failing_seconds=20,
                next_attempt_seconds=7,
            ),
        ),
    )
    ill = ControlAnswer(
        processor="b",
        destinations=(
            DestinationReport(
                endpoint="acme/shop",
                destination="crm",
                state=DestinationCondition.REFUSED,
                reason="status 401",
                waiting=4,
                oldest_seconds=60,
                expires_seconds=400,
                next_attempt_seconds=30,
            ),
        ),
    )
    (both,) = merged([well, ill])
    assert both == DestinationReport(
        endpoint="acme/shop",
        destination="crm",
        state=DestinationCondition.REFUSED,
        reason="status 401",
        waiting=7,
        blocked=1,
        oldest_seconds=60,
        expires_seconds=400,
        failing_seconds=20,
        next_attempt_seconds=7,
    )


def test_what_only_one_of_them_knows_is_listed_too_in_order() -> None:
    other = DestinationReport(endpoint="acme/a", destination="z", state=DestinationCondition.PAUSED)
    found = merged(
        [
            ControlAnswer(processor="a", destinations=(CRM,)),
            ControlAnswer(processor="b", destinations=(CRM, other)),
        ]
    )
    assert found == [other, CRM]
