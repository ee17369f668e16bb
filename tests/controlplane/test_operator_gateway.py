"""Where the Gateway API is installed and a Gateway is named, routes are HTTPRoutes."""

from typing import Any

from support.forebay import Forebay, manifest
from support.wait import eventually

Json = Any

ROUTE = {"gateway": {"parentRefs": [{"name": "public", "namespace": "gateways"}]}}


def routes(forebay: Forebay) -> list[Json]:
    return forebay.objects("httproutes")


async def test_route_leads_to_the_endpoints_own_service(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales", host="sales.example.com"))
    await forebay.operator(route=ROUTE).start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")

    (route,) = routes(forebay)
    (rule,) = route["spec"]["rules"]
    (service,) = forebay.objects("services", "sales")
    assert route["spec"]["hostnames"] == ["sales.example.com"]
    assert rule["matches"] == [
        {"path": {"type": "Exact", "value": f"/v1/webhooks/{forebay.tenant}/sales"}}
    ]
    assert rule["backendRefs"][0]["name"] == service["metadata"]["name"]
    assert rule["timeouts"]["request"] == "4s"
    assert forebay.objects("ingresses") == []


async def test_route_is_repaired_and_goes_with_its_endpoint(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator(route=ROUTE).start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    (route,) = routes(forebay)
    path = forebay.path("httproutes", route["metadata"]["name"])
    assert forebay.api.merge(path, {"spec": {"hostnames": ["evil.example.com"]}}).status == 200
    await eventually(
        lambda: routes(forebay)[0]["spec"]["hostnames"] == ["hooks.example.com"],
        saying="the route to be repaired",
    )

    forebay.delete("sales")
    await eventually(lambda: forebay.endpoint("sales") is None, within=20, saying="its end")
    assert routes(forebay) == []


async def test_without_a_gateway_named_routes_are_ingresses(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    assert routes(forebay) == []
    assert len(forebay.objects("ingresses", "sales")) == 1
