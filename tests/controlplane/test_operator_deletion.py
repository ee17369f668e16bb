"""A deleted endpoint takes with it all that was made for it, and leaves its dead letters."""

from forebay.core.naming import EndpointName
from forebay.core.subjects import EventSubject, Lane, RawSubject, RetrySubject, dead_subject
from support.forebay import OBJECTS, Forebay, manifest
from support.nats_server import NatsServer
from support.pods import PlayedPod
from support.wait import eventually


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


async def test_end_waits_for_processors_to_know(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    processor = PlayedPod(forebay, "processor", {"pool": "processors"})
    await processor.start()
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ProcessorsReady", "ProcessorsWork")

    processor.is_slow = True
    forebay.delete("sales")
    await eventually(
        lambda: any(table["deleted"] for table in forebay.tables("processors")),
        saying="the table to list it as deleted",
    )
    assert forebay.endpoint("sales") is not None
    processor.is_slow = False
    await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")
    await processor.stop()


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
