"""What others wrote becomes no endless message, and no secret of theirs a part of one."""

from datetime import UTC, datetime

import pytest

from forebay.core.resource import API_VERSION, KIND, parse_endpoint
from forebay.core.validation_errors import InvalidEndpoint
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.models.status import MESSAGE_MOST, Condition, EndpointStatus, status_document


def test_a_condition_is_no_longer_than_anyone_reads() -> None:
    """The name of a field that nobody knows is in the message, and may be as long as an object."""
    condition = Condition(
        type=ConditionType.ACCEPTED,
        status="False",
        reason=ConditionReason.INVALID_SPEC,
        message=f"spec.{'x' * 1_000_000}: there is no such field",
    )
    status = EndpointStatus(observed_generation=1, conditions=(condition,))
    (written,) = status_document(status, {}, datetime.now(UTC))["conditions"]
    assert len(written["message"]) == MESSAGE_MOST + 3
    assert written["message"].endswith("...")


@pytest.mark.parametrize(
    "url", ["https://user:zx9/pass@crm.example.com/", "https://crm:zx9/in", "https://[zx9/in"]
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        parse_endpoint(
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "metadata": {"name": "sales"},
                "spec": {
                    "provider": "meta",
                    "authentication": {"none": True},
                    "destinations": [{"name": "crm", "http": {"url": url}}],
                },
            }
        )
    assert "this is no URL" in str(caught.value)
    assert "zx9" not in str(caught.value)
