"""What several processors' breakers make of an endpoint's condition, and how often it changes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.pod_reports import ScriptedPods
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.pod_reports import OpenBreaker
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.models.status import Condition, EndpointStatus, status_document
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.conditions import complete, true
from forebay_operator.services.destination_health import POLLS, SHOWN, Breakers, breaker_condition

SALES = EndpointName("acme", "sales")
POOL = {"pool": "processors"}
CHECK_SECONDS = 10.0
HOLD_SECONDS = POLLS * CHECK_SECONDS


def opened(destination: str = "crm", reason: str = "503", **changes: Any) -> OpenBreaker:  # noqa: ANN401  # fields
    breaker = OpenBreaker(SALES, destination, is_refused=False, reason=reason)
    return breaker._replace(**changes)


@dataclass
class Installation:
    """Processors that say what a test has them say, and the status that comes of it."""

    pods: ScriptedPods = field(default_factory=ScriptedPods)
    cache: ClusterCache = field(default_factory=lambda: ClusterCache("fb"))
    now: float = 1000.0
    status: dict[str, Any] = field(default_factory=dict)
    writes: int = 0

    def __post_init__(self) -> None:
        """Make two processors that answer, and know of nothing."""
        self.breakers = Breakers(self.cache, self.pods, [POOL], CHECK_SECONDS, lambda: self.now)
        for address in ("10.0.0.1", "10.0.0.2"):
            self.put(address, is_ready=True)
            self.pods.opened[address] = ()

    def put(self, address: str, *, is_ready: bool) -> None:
        """Set whether a processor is ready."""
        ready = {"type": "Ready", "status": str(is_ready)}
        self.cache.drop_pod({"metadata": {"name": address}})
        self.cache.put_pod(
            {
                "metadata": {"name": address, "labels": POOL},
                "status": {"podIP": address, "conditions": [ready]},
            }
        )

    def says(self, number: int, *breakers: OpenBreaker) -> None:
        """Set what a processor says from now on."""
        self.pods.opened[f"10.0.0.{number}"] = breakers

    async def check(self, *destinations: str, later: float = CHECK_SECONDS) -> Condition:
        """Check once more, and write the status where it is news."""
        self.now += later
        metadata = {
            "namespace": "acme",
            "name": "sales",
            "uid": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        endpoint = ClusterEndpoint.of({"metadata": metadata, "status": self.status})
        found = await self.breakers.condition(endpoint, destinations or ("crm", "bus"))
        status = EndpointStatus(observed_generation=1, conditions=[found])
        document = status_document(status, self.status, datetime.now(UTC))
        self.writes += document != self.status
        self.status = document
        return found


async def test_one_processor_that_knows_of_trouble_is_enough() -> None:
    there = Installation()
    assert (await there.check()).reason is ConditionReason.NO_BREAKER_OPEN
    there.says(2, opened("crm", "503"))
    found = await there.check()
    assert (found.status, found.reason) == ("False", ConditionReason.BREAKER_OPEN)
    assert "nothing gets through to 'crm' (503)" in found.message


async def test_a_refusal_goes_before_silence() -> None:
    there = Installation()
    there.says(1, opened("crm", "503"), opened("bus", "no connection"))
    there.says(2, opened("crm", "401", is_refused=True))
    found = await there.check()
    assert found.reason is ConditionReason.DESTINATION_REFUSES
    assert "we are refused by 'crm' (401)" in found.message
    assert "nothing gets through to 'bus' (no connection)" in found.message
    assert found.message.count("'crm'") == 1


def test_the_words_do_not_depend_on_who_reports_first() -> None:
    reports = (opened("crm", "503"), opened("crm", "timeout"), opened("bus", "502"))
    assert len({breaker_condition(each).message for each in permutations(reports)}) == 1


def test_a_message_names_a_few_of_many() -> None:
    many = [opened(f"d{number:02d}", "x" * 5000) for number in range(SHOWN + 3)]
    message = breaker_condition(many).message
    assert "'d07'" in message
    assert "'d08'" not in message
    assert "and 3 more" in message
    assert len(message) < 2000


async def test_what_is_of_others_or_was_removed_does_not_count() -> None:
    there = Installation()
    there.says(1, opened("gone"), opened("crm", endpoint=EndpointName("acme", "support")))
    assert (await there.check()).status == "True"


async def test_it_changes_once_in_six_checks_at_most() -> None:
    there = Installation()
    await there.check()
    there.says(1, opened())
    assert (await there.check()).status == "False", "the first trouble is reported at once"
    writes = there.writes
    for number in range(POLLS - 1):
        there.says(1, *([opened(reason=f"{number}")] if number % 2 else []))
        assert (await there.check()).status == "False"
    assert there.writes == writes
    there.says(1)
    assert (await there.check()).status == "True"
    assert there.writes == writes + 1
    there.says(1, opened())
    assert (await there.check()).status == "True", "it was well a moment ago"
    assert (await there.check(later=HOLD_SECONDS)).status == "False"


async def test_the_words_follow_when_the_trouble_is_another_one() -> None:
    there = Installation()
    there.says(1, opened(reason="503"))
    await there.check()
    there.says(1, opened(reason="timeout"))
    assert "(503)" in (await there.check()).message
    assert "(timeout)" in (await there.check(later=HOLD_SECONDS)).message


async def test_a_processor_that_says_nothing_changes_nothing() -> None:
    there = Installation()
    there.says(2, opened())
    await there.check()
    del there.pods.opened["10.0.0.2"]
    assert (await there.check(later=HOLD_SECONDS)).status == "False"
    # When it is gone, the other one owns what it had.
    there.put("10.0.0.2", is_ready=False)
    assert (await there.check(later=HOLD_SECONDS)).status == "True"


async def test_trouble_is_reported_though_another_processor_says_nothing() -> None:
    there = Installation()
    del there.pods.opened["10.0.0.2"]
    assert (await there.check()).status == "Unknown"
    there.says(1, opened())
    assert (await there.check()).status == "False"


async def test_without_processors_nothing_is_known() -> None:
    there = Installation()
    for address in ("10.0.0.1", "10.0.0.2"):
        there.put(address, is_ready=False)
    assert (await there.check()).reason is ConditionReason.NOT_REACHED
    there.put("10.0.0.1", is_ready=True)
    assert (await there.check()).status == "True"


def test_ready_does_not_depend_on_destinations() -> None:
    parts = [
        true(kind, ConditionReason.READY, "")
        for kind in ConditionType
        if kind not in {ConditionType.READY, ConditionType.DESTINATIONS_HEALTHY}
    ]
    conditions = {each.type: each for each in complete([*parts, breaker_condition([opened()])])}
    assert conditions[ConditionType.READY].status == "True"
    assert conditions[ConditionType.DESTINATIONS_HEALTHY].status == "False"
    assert len(conditions) == len(ConditionType)
