"""Bad input is a condition and an Event; mended, the endpoint heals by itself."""

from typing import Any

import pytest

from support.nats.nats_server import NatsServer
from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually

Json = Any

GOOD = "NoPodReady"
"""The reason of ReceiversReady where all is well but for the pods, which nobody runs here."""


async def test_missing_secret(forebay: Forebay) -> None:
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()

    condition = await forebay.wait_condition("sales", "SecretsReady", "SecretMissing")
    assert condition["status"] == "False"
    assert "there is no Secret 'crm'" in condition["message"]
    assert "make it" in condition["message"]
    await eventually(lambda: "SecretMissing" in forebay.events("sales"), saying="the Event")
    assert forebay.objects("deployments") == []

    forebay.secret()
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)
    assert forebay.condition("sales", "SecretsReady")["status"] == "True"


async def test_empty_secret(forebay: Forebay) -> None:
    forebay.secret(token="\n")
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()

    condition = await forebay.wait_condition("sales", "SecretsReady", "SecretUnusable")
    assert "is empty: give it a value" in condition["message"]

    forebay.secret(token="real")
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ({"destinations": [{"name": "crm", "http": {}}]}, "http.url: this field is missing"),
        ({"pausd": True}, "did you mean `paused`?"),
    ],
    ids=["destination without url", "unknown field"],
)
async def test_spec_that_the_schema_lets_through(forebay: Forebay, spec: Json, advice: str) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", **spec))
    forebay.apply(manifest(forebay.tenant, "support"))
    await forebay.operator().start()

    condition = await forebay.wait_condition("sales", "Accepted", "InvalidSpec")
    assert advice in condition["message"]
    await eventually(lambda: "InvalidSpec" in forebay.events("sales"), saying="the Event")
    await forebay.wait_condition("support", "ReceiversReady", GOOD)

    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)


async def test_client_certificates_that_no_proxy_passes_on(forebay: Forebay) -> None:
    forebay.secret()
    signed = {"signature": {"secrets": [{"secretKeyRef": {"name": "crm", "key": "token"}}]}}
    certified = {**signed, "clientCertificate": {"names": ["client.webhooks.fbclientcerts.com"]}}
    forebay.apply(manifest(forebay.tenant, "sales", authentication=certified))
    await forebay.operator().start()

    reason = "ClientCertificatesOff"
    condition = await forebay.wait_condition("sales", "Accepted", reason)
    assert condition["status"] == "False"
    assert "`receivers.clientCertificate.header`" in condition["message"]
    await eventually(lambda: reason in forebay.events("sales"), saying="the Event")

    forebay.apply(manifest(forebay.tenant, "sales", authentication=signed))
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)


async def test_unknown_shard(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", processing={"shard": "east"}))
    await forebay.operator().start()
    condition = await forebay.wait_condition("sales", "Accepted", "ShardUnknown")
    assert "only 0" in condition["message"]


async def test_host_belongs_to_the_namespace_that_named_it_first(forebay: Forebay) -> None:
    forebay.secret()
    forebay.secret(forebay.other)
    forebay.apply(manifest(forebay.tenant, "first", host="ours.example.com"))
    await eventually(lambda: forebay.endpoint("first") is not None)
    operator = forebay.operator()
    await operator.start()
    await forebay.wait_condition("first", "ReceiversReady", GOOD)

    forebay.apply(manifest(forebay.other, "second", host="ours.example.com"))
    forebay.apply(manifest(forebay.tenant, "third", host="ours.example.com"))
    condition = await forebay.wait_condition("second", "Accepted", "HostTaken", forebay.other)
    assert "choose another host" in condition["message"]
    await eventually(
        lambda: "HostTaken" in forebay.events("second", forebay.other), saying="the Event"
    )
    await forebay.wait_condition("third", "ReceiversReady", GOOD)
    assert forebay.condition("first", "Accepted")["status"] == "True"

    forebay.delete("third")
    forebay.delete("first")
    await forebay.wait_condition("second", "ReceiversReady", GOOD, forebay.other)


async def test_nats_away(forebay: Forebay, nats_server: NatsServer) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await nats_server.stop()
    await forebay.operator().start()

    condition = await forebay.wait_condition("sales", "StreamsReady", "NatsUnreachable")
    assert condition["status"] == "False"
    assert len(forebay.objects("deployments", "sales")) == 1

    await nats_server.start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")

    await nats_server.stop()
    await forebay.wait_condition("sales", "StreamsReady", "NatsUnreachable")
    await eventually(lambda: "NatsUnreachable" in forebay.events("sales"), saying="the Event")


async def test_spec_that_was_good_goes_on_being_served(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)

    forebay.apply(manifest(forebay.tenant, "sales", pausd=True))
    await forebay.wait_condition("sales", "Accepted", "InvalidSpec")
    assert forebay.own_table("sales")["routes"][0]["name"] == "sales"
    assert len(forebay.objects("ingresses", "sales")) == 1


async def test_secret_rotates_without_an_edit(forebay: Forebay) -> None:
    forebay.secret(old="first", new="second")
    values = [{"secretKeyRef": {"name": "crm", "key": key}} for key in ("old", "new")]
    forebay.apply(
        manifest(
            forebay.tenant,
            "sales",
            authentication={"headers": [{"name": "Authorization", "values": values}]},
        )
    )
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", GOOD)

    def live() -> list[str]:
        (header,) = forebay.own_table("sales")["routes"][0]["authentication"]["headers"]
        return list(header["values"])

    assert live() == ["first", "second"]
    forebay.secret(old="second", new="third")
    await eventually(lambda: live() == ["second", "third"], saying="the table to follow")
