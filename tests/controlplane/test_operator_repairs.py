"""What someone changes or deletes by hand is put right."""

from support.operator.operator_process import OBJECTS, Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually


async def serve(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")


async def test_changed_object_is_repaired(forebay: Forebay) -> None:
    await serve(forebay)
    (deployment,) = forebay.objects("deployments", "sales")
    path = forebay.path("deployments", deployment["metadata"]["name"])
    wrong = {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}
    assert forebay.api.merge(path, wrong).status == 200

    def is_right() -> bool:
        (now,) = forebay.objects("deployments", "sales")
        return now["spec"]["template"]["spec"]["automountServiceAccountToken"] is False

    await eventually(is_right, saying="the Deployment to be repaired")


async def test_replicas_set_by_hand_are_left_alone(forebay: Forebay) -> None:
    await serve(forebay)
    (deployment,) = forebay.objects("deployments", "sales")
    path = forebay.path("deployments", deployment["metadata"]["name"])
    assert forebay.api.merge(path, {"spec": {"replicas": 4}}).status == 200
    # A repair that comes later shows that the operator has seen the change and let it be.
    wrong = {"spec": {"revisionHistoryLimit": 9}}
    assert forebay.api.merge(path, wrong).status == 200

    def is_right() -> bool:
        (now,) = forebay.objects("deployments", "sales")
        return bool(now["spec"]["revisionHistoryLimit"] == 3)

    await eventually(is_right, saying="the Deployment to be repaired")
    (now,) = forebay.objects("deployments", "sales")
    assert now["spec"]["replicas"] == 4


async def test_deleted_objects_are_made_again(forebay: Forebay) -> None:
    await serve(forebay)
    before = {}
    for plural in OBJECTS:
        (each,) = forebay.objects(plural, "sales")
        before[plural] = each["metadata"]["uid"]
        forebay.api.delete(forebay.path(plural, each["metadata"]["name"]))

    def all_there() -> bool:
        now = {plural: forebay.objects(plural, "sales") for plural in OBJECTS}
        return all(
            len(found) == 1 and found[0]["metadata"]["uid"] != before[plural]
            for plural, found in now.items()
        )

    await eventually(all_there, saying="all objects to be made again")


async def test_shared_table_is_repaired(forebay: Forebay) -> None:
    await serve(forebay)
    name = next(
        each["metadata"]["name"]
        for each in forebay.objects("secrets")
        if "processors" in each["metadata"]["name"]
    )
    forebay.api.delete(forebay.path("secrets", name))
    await eventually(
        lambda: forebay.api.get(forebay.path("secrets", name)) is not None,
        saying="the table to be made again",
    )


async def test_status_written_by_another_is_put_right(forebay: Forebay) -> None:
    await serve(forebay)
    path = forebay.path("webhookendpoints", "sales", forebay.tenant) + "/status"
    assert forebay.api.merge(path, {"status": {"url": "https://evil.example.com"}}).status == 200

    def is_right() -> bool:
        endpoint = forebay.endpoint("sales") or {}
        return str(endpoint["status"]["url"]).startswith("https://hooks.example.com/")

    await eventually(is_right, saying="the status to be put right")


async def test_move_to_shared_receivers_waits_until_they_serve(forebay: Forebay) -> None:
    await serve(forebay)
    forebay.apply(manifest(forebay.tenant, "sales", receiver={"isolation": "Shared"}))
    await eventually(
        lambda: any(table["routes"] for table in forebay.tables("receivers")),
        saying="a place on the shared receivers",
    )
    shared = PlayedPod(forebay, "shared", {"pool": "receivers"})
    shared.is_slow = True
    await shared.start()
    await shared.looked_at_again()
    assert len(forebay.objects("deployments", "sales")) == 1
    assert len(forebay.objects("ingresses", "sales")) == 1

    shared.is_slow = False
    await eventually(
        lambda: not any(forebay.objects(plural, "sales") for plural in OBJECTS),
        within=20,
        saying="the objects of its own to go",
    )
    (route,) = forebay.objects("ingresses")
    (path,) = route["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] == "fb-receivers"

    forebay.apply(manifest(forebay.tenant, "sales", receiver={"isolation": "Dedicated"}))
    await eventually(
        lambda: len(forebay.objects("deployments", "sales")) == 1, saying="pods of its own"
    )
    (deployment,) = forebay.objects("deployments", "sales")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    own = PlayedPod(forebay, "own", labels)
    own.is_slow = True
    await own.start()
    await own.looked_at_again()
    assert forebay.objects("ingresses", "sales") == []
    assert any(table["routes"] for table in forebay.tables("receivers"))

    own.is_slow = False
    await eventually(
        lambda: (
            len(forebay.objects("ingresses", "sales")) == 1
            and not any(table["routes"] for table in forebay.tables("receivers"))
        ),
        within=20,
        saying="the route to lead to its own pods",
    )
    await own.stop()
    await shared.stop()
