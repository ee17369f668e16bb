"""A value that looks like a mistake is used and reported; no message shows a value."""

import json

from support.operator.operator_process import Forebay, manifest
from support.operator.pods import PlayedPod
from support.timing.wait import eventually

SECRET = "Zx9-correct-horse-battery"


def signed(forebay: Forebay) -> dict[str, object]:
    signature = {"secrets": [{"secretKeyRef": {"name": "meta", "key": "app-secret"}}]}
    found: dict[str, object] = manifest(
        forebay.tenant, "sales", provider="meta", authentication={"signature": signature}
    )
    return found


async def test_a_carriage_return_at_the_end_is_a_warning_until_it_is_gone(forebay: Forebay) -> None:
    forebay.secret(name="meta", **{"app-secret": f"{SECRET}\r\n"})
    forebay.apply(signed(forebay))
    operator = forebay.operator()
    await operator.start()
    condition = await forebay.wait_condition("sales", "SecretsReady", "SecretsWarn")
    assert condition["status"] == "True"
    assert (
        "spec.authentication.signature.secrets[0]: key 'app-secret' of Secret 'meta' ends"
        in (condition["message"])
    )
    assert "carriage return" in condition["message"]
    (event,) = await eventually(
        lambda: [e for e in forebay.event_objects("sales") if e["reason"] == "SecretsWarn"],
        saying="the Event",
    )
    assert event["type"] == "Warning"
    used = forebay.own_table("sales")["routes"][0]["authentication"]["signature"]["secrets"]
    assert used == [f"{SECRET}\r"], "it is used as it stands"

    forebay.secret(name="meta", **{"app-secret": f"{SECRET}\n"})
    await forebay.wait_condition("sales", "SecretsReady", "SecretsFound")


async def test_white_space_alone_is_refused(forebay: Forebay) -> None:
    forebay.secret(name="meta", **{"app-secret": "\ufeff \r\n"})
    forebay.apply(signed(forebay))
    await forebay.operator().start()
    condition = await forebay.wait_condition("sales", "SecretsReady", "SecretUnusable")
    assert "nothing but white space: give it a value" in condition["message"]


async def test_nothing_of_a_secret_is_in_conditions_events_and_log(forebay: Forebay) -> None:
    """Every way in which a value can be wrong, and a rotation, with values to look for."""

    def source(key: str) -> dict[str, object]:
        return {"secretKeyRef": {"name": "odd", "key": key}}

    values = {
        "mark": f"\ufeff{SECRET}",
        "header": f"Bearer\n{SECRET}",
        "signing": f"whsec_{SECRET}",
        "pem": f"-----BEGIN PRIVATE KEY {SECRET}",
        "large": SECRET * 40_000,
    }
    tls = {"ca": source("large"), "certificate": source("pem"), "key": source("pem")}
    http = {
        "url": "https://crm.example.com/in",
        "headers": [{"name": "Authorization", **source("header")}],
        "signing": source("signing"),
        "tls": tls,
    }
    headers = [{"name": "Authorization", "values": [source("header")]}]
    authentication = {"headers": headers, "verifyToken": source("mark")}
    forebay.secret(name="odd", **values)
    bad = manifest(
        forebay.tenant,
        "sales",
        authentication=authentication,
        destinations=[{"name": "crm", "http": http}],
    )
    forebay.apply(bad)
    pod = PlayedPod(forebay, "processor", {"pool": "processors"})
    await pod.start()
    operator = forebay.operator()
    await operator.start()
    condition = await forebay.wait_condition("sales", "SecretsReady", "LimitExceeded")
    for field in ("headers[0]", "signing", "tls.ca", "tls.certificate", "tls.key"):
        assert field in condition["message"]
    forebay.apply(signed(forebay))
    forebay.secret(name="meta", **{"app-secret": f" {SECRET}"})
    await forebay.wait_condition("sales", "SecretsReady", "SecretsWarn")
    forebay.secret(name="meta", **{"app-secret": f"{SECRET}\r"})
    await eventually(lambda: "Rotated" in forebay.events("sales"), saying="the rotation")
    await pod.stop()
    seen = json.dumps([forebay.endpoint("sales"), forebay.event_objects("sales")])
    assert SECRET not in seen
    assert SECRET not in "\n".join(operator.program.lines())
