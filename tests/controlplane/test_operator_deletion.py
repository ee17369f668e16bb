"""A deleted endpoint takes with it all that was made for it, and leaves its dead letters."""

from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import EventSubject, Lane, RawSubject, RetrySubject, dead_subject
from support.nats.nats_server import NatsServer
from support.operator.operator_process import OBJECTS, Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually


def subjects(endpoint: EndpointName) -> list[str]:
    return [
        str(RawSubject("0", 3, Lane.LIVE, endpoint)),
        str(EventSubject("0", 5, Lane.STATUS, endpoint, "statuses", "ab12")),
        str(RetrySubject("0", 5, Lane.LIVE, endpoint, "crm", "c0ffee", "ab12")),
        dead_subject("0", endpoint, "crm", "ab12"),
    ]


async def test_objects_and_messages_go_and_dead_letters_stay(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    forebay.apply(manifest(forebay.tenant, "sales-2"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
    await forebay.wait_condition("sales-2", "StreamsReady", "StreamsThere")
    async with nats_server.client() as client:
        stream = client.jetstream()
        for name in ("sales", "sales-2"):
            for subject in subjects(EndpointName(forebay.tenant, name)):
                await stream.publish(subject, b"{}")

    forebay.delete("sales")
    await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")

    assert not any(forebay.objects(plural, "sales") for plural in OBJECTS)
    assert all(len(forebay.objects(plural, "sales-2")) == 1 for plural in OBJECTS)
    deleted = [name for table in forebay.tables("processors") for name in table["deleted"]]
    assert deleted == [f"{forebay.tenant}/sales"]
    async with nats_server.client() as client:
        streams = client.jetstream()
        left = {
            subject
            for stream in ("RAW", "EVENTS", "RETRY", "DEAD")
            for subject in (
                (
                    await streams.stream_info(f"FOREBAY_{stream}_0", subjects_filter=">")
                ).state.subjects
                or {}
            )
        }
    dead = dead_subject("0", EndpointName(forebay.tenant, "sales"), "crm", "ab12")
    assert left == {dead, *subjects(EndpointName(forebay.tenant, "sales-2"))}


async def test_nothing_is_purged_and_nothing_let_go_before_the_processors_know(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    processor = PlayedPod(forebay, "processor", {"pool": "processors"})
    await processor.start()
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ProcessorsReady", "ProcessorsWork")
    waiting = str(RawSubject("0", 3, Lane.LIVE, EndpointName(forebay.tenant, "sales")))

    processor.is_slow = True
    forebay.delete("sales")
    await eventually(
        lambda: any(table["deleted"] for table in forebay.tables("processors")),
        saying="the table to list it as deleted",
    )
    async with nats_server.client() as client:
        await client.jetstream().publish(waiting, b"{}")
        await processor.looked_at_again()
        assert forebay.endpoint("sales") is not None
        assert await is_stored(client, waiting)
        processor.is_slow = False
        await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")
        assert not await is_stored(client, waiting)
    await processor.stop()


async def is_stored(client: Client, subject: str) -> bool:
    """Say whether RAW holds anything under a subject."""
    streams = client.jetstream()
    info = await streams.stream_info("FOREBAY_RAW_0", subjects_filter=subject)
    return bool(info.state.subjects)


async def test_an_endpoint_that_went_while_no_operator_ran_is_listed_as_deleted(
    forebay: Forebay,
) -> None:
    shared = {"isolation": "Shared"}
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", receiver=shared))
    forebay.apply(manifest(forebay.tenant, "stays", receiver=shared))
    operator = forebay.operator()
    await operator.start()
    await eventually(
        lambda: listed(forebay, "receivers", "routes") == {"sales", "stays"},
        saying="both in the tables",
    )
    await operator.stop()
    # As a backup that is restored, or someone in a hurry, does it.
    path = forebay.path("webhookendpoints", "sales", forebay.tenant)
    forebay.api.merge(path, {"metadata": {"finalizers": None}})
    forebay.delete("sales")
    assert forebay.endpoint("sales") is None

    await operator.start()
    await eventually(
        lambda: listed(forebay, "receivers", "routes") == {"stays"},
        saying="its URL and secrets to be out of the tables",
    )
    assert listed(forebay, "processors", "endpoints") == {"stays"}
    deleted = [name for table in forebay.tables("processors") for name in table["deleted"]]
    assert deleted == [f"{forebay.tenant}/sales"]


def listed(forebay: Forebay, pool: str, part: str) -> set[str]:
    """Return the names that the tables of a pool list."""
    return {each["name"] for table in forebay.tables(pool) for each in table[part]}


async def test_end_does_not_hang_while_nats_is_away(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    limits = {"statusSeconds": 1, "deletionGracePeriodSeconds": 3}
    await forebay.operator(limits=limits).start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
    await nats_server.stop()

    forebay.delete("sales")
    await forebay.wait_condition("sales", "Ready", "Deleting")
    await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")
    assert "NATS was away" in forebay.events("sales")["PurgeGivenUp"]


async def test_same_name_can_come_again(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
    forebay.delete("sales")
    await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")

    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    assert not any(table["deleted"] for table in forebay.tables("processors"))
    assert len(forebay.objects("deployments", "sales")) == 1


async def test_uninstall_removes_what_was_made_and_keeps_endpoints(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    operator = forebay.operator()
    await operator.start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    await operator.stop()

    await operator.uninstall()
    assert not any(forebay.objects(plural) for plural in OBJECTS)
    endpoint = forebay.endpoint("sales")
    assert endpoint is not None
    assert "finalizers" not in endpoint["metadata"]

    await operator.start()
    await eventually(
        lambda: len(forebay.objects("deployments", "sales")) == 1,
        saying="a new operator to take the endpoint up",
    )


async def test_who_comes_back_is_not_received_while_a_processor_takes_it_for_deleted(
    forebay: Forebay,
) -> None:
    forebay.secret()
    document = manifest(forebay.tenant, "back", receiver={"isolation": "Shared"})
    receiver = PlayedPod(forebay, "receiver", {"pool": "receivers"})
    processor = PlayedPod(forebay, "processor", {"pool": "processors"})
    await receiver.start()
    await processor.start()
    try:
        forebay.apply(document)
        await forebay.operator().start()
        await forebay.wait_condition("back", "Ready", "Ready")
        forebay.delete("back")
        await eventually(lambda: forebay.endpoint("back") is None, within=30, saying="its end")

        processor.is_slow = True
        forebay.apply(document)
        await forebay.wait_condition("back", "ProcessorsReady", "TablePending")
        assert forebay.condition("back", "ReceiversReady")["reason"] == "TablePending"
        assert [table["routes"] for table in forebay.tables("receivers") if table["routes"]] == []
        processor.is_slow = False
        await forebay.wait_condition("back", "Ready", "Ready")
        routes = [each["name"] for table in forebay.tables("receivers") for each in table["routes"]]
        assert routes == ["back"]
    finally:
        await receiver.stop()
        await processor.stop()
