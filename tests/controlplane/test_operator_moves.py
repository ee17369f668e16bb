"""An endpoint gets streams and processors of its own, and gives them back; the operator may die."""

from typing import Any, Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard
from support.nats.nats_server import NatsServer
from support.operator.operator_process import Forebay, Operator, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

Json = Any

SHARED: Final = {"isolation": "Shared"}
DEDICATED: Final = {"isolation": "Dedicated"}
KINDS: Final = (
    "deployments",
    "networkpolicies",
    "poddisruptionbudgets",
    "secrets",
    "serviceaccounts",
)
"""What its own processors are made of."""

SIZES: Final = ("rawMaxBytes", "eventsMaxBytes", "retryMaxBytes", "deadMaxBytes", "indexMaxBytes")
SMALL: Final = {
    "maxDedicatedShards": 1,
    "images": ["registry.example.com/bots/*"],
    "streams": dict.fromkeys(SIZES, 16 * 2**20),
    "pods": {
        "image": "localhost/forebay-processor:test",
        "nats": {"url": "nats://nats:4222", "authSecretName": "nats-processor"},
    },
}


def operator(forebay: Forebay) -> Operator:
    # What is empty is removed at a resync.
    limits = {"statusSeconds": 1, "podSeconds": 1, "resyncSeconds": 3}
    return forebay.operator(tables={"count": 1}, dedicated=SMALL, limits=limits)


async def pods(forebay: Forebay) -> list[PlayedPod]:
    """Start a receiver and a processor for all."""
    found = [
        PlayedPod(forebay, "receiver", {"pool": "receivers"}),
        PlayedPod(forebay, "processor", {"pool": "processors"}),
    ]
    for pod in found:
        await pod.start()
    return found


def own_processor(forebay: Forebay, name: str) -> PlayedPod:
    (deployment,) = forebay.objects("deployments", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    return PlayedPod(forebay, f"processor-{name}", labels)


def status(forebay: Forebay, name: str) -> Json:
    return (forebay.endpoint(name) or {}).get("status") or {}


async def streams(nats_server: NatsServer, shard: str) -> set[str]:
    async with nats_server.client() as client:
        found = await client.jetstream().streams_info()
    return {str(each.config.name) for each in found if str(each.config.name).endswith(f"_{shard}")}


async def test_an_endpoint_is_moved_and_back_though_the_operator_dies(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    running = await pods(forebay)
    forebay.apply(manifest(forebay.tenant, "shop", receiver=SHARED))
    first = operator(forebay)
    await first.start()
    await forebay.wait_condition("shop", "Ready", "Ready")
    shard = dedicated_shard(EndpointName(forebay.tenant, "shop"))

    image = "registry.example.com/bots/shop:1"
    forebay.apply(
        manifest(forebay.tenant, "shop", receiver=SHARED, processing={**DEDICATED, "image": image})
    )
    await eventually(lambda: forebay.objects("deployments", "shop"), within=20)
    await eventually(
        lambda: (
            "no processor of it is ready" in forebay.condition("shop", "ProcessorsReady")["message"]
        ),
        within=20,
    )
    moving = forebay.condition("shop", "ProcessorsReady")
    assert (moving["status"], moving["reason"]) == ("True", "Moving")
    await first.kill()
    (deployment,) = forebay.objects("deployments", "shop")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert (container["image"], environment["FOREBAY_SHARDS"]) == (image, shard)
    assert pod["automountServiceAccountToken"] is False
    for plural in KINDS:
        assert len(forebay.objects(plural, "shop")) == 1, plural
    running.append(own_processor(forebay, "shop"))
    await running[-1].start()
    assert len(await streams(nats_server, shard)) == 6

    second = operator(forebay)
    await second.start()
    await eventually(lambda: second.events("endpoint_moves"), within=20)
    await second.kill()
    third = operator(forebay)
    await third.start()
    await eventually(
        lambda: (
            status(forebay, "shop").get("shard") == shard
            and forebay.condition("shop", "Ready")["status"] == "True"
        ),
        within=40,
        saying="the move to end",
    )
    (table,) = forebay.tables("processors")
    assert table["endpoints"] == []

    # One is all that is allowed, and an image has to be.
    forebay.apply(manifest(forebay.tenant, "bank", receiver=SHARED, processing=DEDICATED))
    full = await forebay.wait_condition("bank", "Accepted", "DedicatedShardsFull")
    assert "processors.dedicated.maxDedicatedShards" in full["message"]
    image = "docker.io/evil:1"
    forebay.apply(
        manifest(forebay.tenant, "cafe", receiver=SHARED, processing={**DEDICATED, "image": image})
    )
    await forebay.wait_condition("cafe", "Accepted", "ImageNotAllowed")
    forebay.delete("bank")
    forebay.delete("cafe")

    forebay.apply(manifest(forebay.tenant, "shop", receiver=SHARED))
    await eventually(
        lambda: not any(forebay.objects(plural, "shop") for plural in KINDS),
        within=60,
        saying="what was made for it to be gone",
    )
    assert await streams(nats_server, shard) == set()
    assert "shard" not in status(forebay, "shop")
    await forebay.wait_condition("shop", "Ready", "Ready")
    for each in running:
        await each.stop()


async def test_a_deleted_endpoint_takes_its_own_streams_with_it_but_for_dead_letters(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    running = await pods(forebay)
    forebay.apply(manifest(forebay.tenant, "shop", receiver=SHARED, processing=DEDICATED))
    await operator(forebay).start()
    await eventually(lambda: forebay.objects("deployments", "shop"), within=20)
    own = own_processor(forebay, "shop")
    await own.start()
    await forebay.wait_condition("shop", "Ready", "Ready")
    shard = dedicated_shard(EndpointName(forebay.tenant, "shop"))
    async with nats_server.client() as client:
        context = client.jetstream()
        await context.publish(f"forebay.raw.{shard}.00.live.{forebay.tenant}.shop", b"{}")
        await context.publish(f"forebay.dead.{shard}.{forebay.tenant}.shop.log.k1", b"{}")
    forebay.delete("shop")
    await eventually(lambda: not forebay.objects("deployments", "shop"), within=20)
    await own.stop()
    await eventually(lambda: forebay.endpoint("shop") is None, within=60, saying="its end")
    left = {f"FOREBAY_DEAD_{shard}", f"FOREBAY_LEASE_{shard}"}

    async def is_rest() -> bool:
        return await streams(nats_server, shard) == left

    await eventually(is_rest, within=20, saying="all but its dead letters to be removed")
    async with nats_server.client() as client:
        await client.jetstream().purge_stream(f"FOREBAY_DEAD_{shard}")

    async def is_gone() -> bool:
        return not await streams(nats_server, shard)

    await eventually(is_gone, within=20, saying="the last of its streams to be removed")
    for each in running:
        await each.stop()
