"""One WebhookEndpoint becomes everything that a Dedicated endpoint needs."""

from support.nats.nats_server import NatsServer
from support.operator.operator_process import OBJECTS, Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually


async def test_dedicated_endpoint_has_one_object_of_each_kind(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()

    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    assert {plural: len(forebay.objects(plural, "sales")) for plural in OBJECTS} == dict.fromkeys(
        OBJECTS, 1
    )
    assert forebay.own_table("sales")["routes"][0]["name"] == "sales"
    (listed,) = [each for table in forebay.tables("processors") for each in table["endpoints"]]
    assert (listed["namespace"], listed["name"]) == (forebay.tenant, "sales")


async def test_status_shows_url_generation_and_what_is_missing(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()

    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
    endpoint = forebay.endpoint("sales")
    assert endpoint is not None
    status = endpoint["status"]
    assert status["url"] == f"https://hooks.example.com/v1/webhooks/{forebay.tenant}/sales"
    assert status["observedGeneration"] == endpoint["metadata"]["generation"]
    assert status["receivers"] == {"ready": 0, "total": 0}
    assert forebay.condition("sales", "Ready")["reason"] == "NoPodReady"
    assert "check the pods" in forebay.condition("sales", "Ready")["message"]


async def test_replicas_belong_to_the_autoscaler(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(
        manifest(forebay.tenant, "sales", receiver={"replicas": {"min": 3, "max": 7}}),
    )
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")

    (deployment,) = forebay.objects("deployments", "sales")
    (autoscaler,) = forebay.objects("horizontalpodautoscalers", "sales")
    ours = [
        entry["fieldsV1"]
        for entry in deployment["metadata"]["managedFields"]
        if entry["manager"] == "forebay-operator"
    ]
    assert ours
    assert all("f:replicas" not in fields["f:spec"] for fields in ours)
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (3, 7)


async def test_objects_follow_an_edit(forebay: Forebay) -> None:
    forebay.secret()
    document = manifest(forebay.tenant, "sales")
    forebay.apply(document)
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")

    document["spec"]["host"] = "sales.example.com"
    document["spec"]["paused"] = True
    forebay.apply(document)

    def followed() -> bool:
        (ingress,) = forebay.objects("ingresses", "sales")
        (listed,) = [each for table in forebay.tables("processors") for each in table["endpoints"]]
        host = ingress["spec"]["rules"][0]["host"]
        return bool(host == "sales.example.com" and listed["paused"])

    await eventually(followed, saying="ingress and table to follow")
    await eventually(
        lambda: (
            (forebay.endpoint("sales") or {})["status"]["url"]
            == f"https://sales.example.com/v1/webhooks/{forebay.tenant}/sales"
        ),
        saying="the URL to follow",
    )


async def test_endpoint_is_ready_when_every_pod_has_its_table(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    processor = PlayedPod(forebay, "processor", {"pool": "processors"})
    await processor.start()
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")

    (deployment,) = forebay.objects("deployments", "sales")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    receiver = PlayedPod(forebay, "receiver", labels)
    receiver.is_slow = True
    await receiver.start()
    await forebay.wait_condition("sales", "ReceiversReady", "TablePending")
    receiver.is_slow = False

    await forebay.wait_condition("sales", "Ready", "Ready")
    endpoint = forebay.endpoint("sales")
    assert endpoint is not None
    assert endpoint["status"]["receivers"] == {"ready": 1, "total": 1}
    assert endpoint["status"]["backlog"] == {"items": 0, "oldestSeconds": 0}
    assert "Ready" in forebay.events("sales")
    await receiver.stop()
    await processor.stop()


async def test_streams_and_consumers_are_made(forebay: Forebay, nats_server: NatsServer) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")

    async with nats_server.client() as client:
        names = {each.config.name for each in await client.jetstream().streams_info()}
    assert names == {
        f"FOREBAY_{each}_0" for each in ("RAW", "EVENTS", "RETRY", "DEAD", "LEASE", "INDEX")
    }
