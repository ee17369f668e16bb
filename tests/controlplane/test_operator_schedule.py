"""On a real API server: a window of the schedule raises what is made, and its end lowers it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually

Json = Any

QUICK = {"statusSeconds": 1, "podSeconds": 1}
SOON = 6
"""Seconds until the window counts."""


def floors(forebay: Forebay) -> tuple[int, str, int]:
    (autoscaler,) = forebay.objects("horizontalpodautoscalers", "sales")
    (deployment,) = forebay.objects("deployments", "sales")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (route,) = forebay.own_table("sales")["routes"]
    return (
        autoscaler["spec"]["minReplicas"],
        container["resources"]["requests"]["cpu"],
        route["max_in_flight"],
    )


def status(forebay: Forebay) -> Json:
    endpoint = forebay.endpoint("sales")
    assert endpoint is not None
    return endpoint["status"].get("schedule", {})


async def test_a_window_that_comes_and_goes(forebay: Forebay) -> None:
    # Its lead time begins in a few seconds, so that nobody waits for a full minute.
    counts = datetime.now(UTC) + timedelta(seconds=SOON)
    begin = (counts + timedelta(minutes=1)).replace(second=0, microsecond=0)
    campaign = {
        "name": "campaign",
        "cron": f"{begin.minute} {begin.hour} {begin.day} {begin.month} *",
        "duration": "1h",
        "leadTime": f"{int((begin - counts).total_seconds())}s",
        "messagesPerSecond": 1000,
    }
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", throughput={"schedule": [campaign]}))
    operator = forebay.operator(limits=QUICK)
    await operator.start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    assert floors(forebay) == (2, "18m", 792)
    assert status(forebay)["nextWindow"] == "campaign"
    await eventually(
        lambda: status(forebay).get("window") == "campaign", within=30, saying="the window"
    )
    assert floors(forebay) == (4, "59m", 9900)
    assert status(forebay)["begins"] == begin.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "Scheduled" in forebay.events("sales")

    # The campaign is over early.
    forebay.apply(manifest(forebay.tenant, "sales", throughput={"schedule": []}))
    await eventually(lambda: floors(forebay) == (2, "18m", 792), within=20, saying="its end")
    await eventually(lambda: status(forebay) == {}, saying="the status")


async def test_an_expression_that_means_nothing_is_a_condition(forebay: Forebay) -> None:
    window = {"name": "a", "cron": "0 0 30 2 *", "duration": "1h", "messagesPerSecond": 100}
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", throughput={"schedule": [window]}))
    await forebay.operator(limits=QUICK).start()
    await forebay.wait_condition("sales", "Accepted", "InvalidSpec")
    message = forebay.condition("sales", "Accepted")["message"]
    assert "spec.throughput.schedule[0].cron: this is no cron expression" in message
