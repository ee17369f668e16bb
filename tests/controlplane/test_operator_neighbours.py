"""Endpoints that share a table do not disturb each other."""

from support.operator.operator_process import Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually


async def test_new_neighbour_does_not_make_a_ready_endpoint_unready(forebay: Forebay) -> None:
    forebay.secret()
    pods = [
        PlayedPod(forebay, "receiver", {"pool": "receivers"}),
        PlayedPod(forebay, "processor", {"pool": "processors"}),
    ]
    for pod in pods:
        await pod.start()
    shared = {"isolation": "Shared"}
    forebay.apply(manifest(forebay.tenant, "first", receiver=shared))
    await forebay.operator(tables={"count": 1}).start()
    await forebay.wait_condition("first", "Ready", "Ready")
    since = forebay.condition("first", "Ready")["lastTransitionTime"]

    for pod in pods:
        pod.is_slow = True
    forebay.apply(manifest(forebay.tenant, "second", receiver=shared))
    await forebay.wait_condition("second", "ReceiversReady", "TablePending")
    await eventually(
        lambda: (forebay.endpoint("first") or {})["status"]["receivers"]["ready"] == 1,
        saying="the first to be looked at",
    )
    assert forebay.condition("first", "Ready")["status"] == "True"

    for pod in pods:
        pod.is_slow = False
    await forebay.wait_condition("second", "Ready", "Ready")
    assert forebay.condition("first", "Ready")["lastTransitionTime"] == since

    # A change of its own has to be read before it is ready again.
    for pod in pods:
        pod.is_slow = True
    forebay.apply(manifest(forebay.tenant, "first", receiver=shared, paused=True))
    await forebay.wait_condition("first", "ProcessorsReady", "TablePending")
    assert forebay.condition("second", "Ready")["status"] == "True"
    for pod in pods:
        pod.is_slow = False
    await forebay.wait_condition("first", "Ready", "Ready")
    for pod in pods:
        await pod.stop()
