"""Where the Gateway API is installed and a Gateway is named, routes are HTTPRoutes."""

from typing import Any

from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually

Json = Any

ROUTE = {"gateway": {"parentRefs": [{"name": "public", "namespace": "gateways"}]}}

DEFINITION = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/httproutes.gateway.networking.k8s.io"
)
ALL_ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"

ACCEPTED = {
    "parents": [
        {
            "parentRef": {"name": "public", "namespace": "gateways"},
            "controllerName": "example.com/gateway",
            "conditions": [
                {
                    "type": "Accepted",
                    "status": "True",
                    "reason": "Accepted",
                    "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ],
        }
    ]
}
"""What a Gateway's controller writes."""


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


async def test_an_operator_that_runs_notices_the_gateway_api(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    definition = forebay.api.get(DEFINITION)
    await remove_definition(forebay)
    try:
        operator = forebay.operator(route=ROUTE, limits={"discoverySeconds": 0.5})
        await operator.start()
        await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
        (ingress,) = forebay.objects("ingresses", "sales")
    finally:
        await install_definition(forebay, definition)

    (route,) = await eventually(lambda: routes(forebay), saying="the HTTPRoute")
    assert route["metadata"]["name"] == ingress["metadata"]["name"]
    # No Gateway has taken it yet: webhooks go on coming by the Ingress.
    wrong = {"spec": {"hostnames": ["evil.example.com"]}}
    path = forebay.path("httproutes", route["metadata"]["name"])
    assert forebay.api.merge(path, wrong).status == 200
    await eventually(
        lambda: routes(forebay)[0]["spec"]["hostnames"] == ["hooks.example.com"],
        saying="the route to be watched and repaired",
    )
    assert len(forebay.objects("ingresses", "sales")) == 1

    assert forebay.api.merge(f"{path}/status", {"status": ACCEPTED}).status == 200
    await eventually(
        lambda: forebay.objects("ingresses", "sales") == [], saying="the Ingress to go"
    )


async def test_an_operator_that_runs_goes_on_without_the_gateway_api(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    definition = forebay.api.get(DEFINITION)
    operator = forebay.operator(route=ROUTE, limits={"discoverySeconds": 0.5})
    await operator.start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    (route,) = routes(forebay)
    await remove_definition(forebay)
    try:
        (ingress,) = await eventually(
            lambda: forebay.objects("ingresses", "sales"), saying="the Ingress", within=20
        )
        assert ingress["metadata"]["name"] == route["metadata"]["name"]
        # Everything else is watched as before.
        (service,) = forebay.objects("services", "sales")
        forebay.api.delete(forebay.path("services", service["metadata"]["name"]))
        await eventually(
            lambda: forebay.objects("services", "sales"), saying="the Service to be made again"
        )
    finally:
        await install_definition(forebay, definition)

    (again,) = await eventually(lambda: routes(forebay), saying="the HTTPRoute", within=20)
    path = forebay.path("httproutes", again["metadata"]["name"])
    await eventually(
        lambda: forebay.api.merge(path, {"spec": {"hostnames": ["evil.example.com"]}}).status == 200
    )
    await eventually(
        lambda: routes(forebay)[0]["spec"]["hostnames"] == ["hooks.example.com"],
        saying="the route to be watched and repaired",
    )
    assert operator.program.running
    assert len(operator.events("operator_started")) == 1


async def test_a_refused_route_is_reason_enough_to_look(forebay: Forebay) -> None:
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    definition = forebay.api.get(DEFINITION)
    operator = forebay.operator(route=ROUTE)  # it looks once a minute
    await operator.start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    await remove_definition(forebay)
    try:
        await eventually(
            lambda: forebay.objects("ingresses", "sales"), saying="the Ingress", within=20
        )
    finally:
        await install_definition(forebay, definition)
    assert operator.program.running


def definition_is_there(forebay: Forebay) -> bool:
    return forebay.api.ask("GET", ALL_ROUTES).status == 200


async def remove_definition(forebay: Forebay) -> None:
    forebay.api.delete(DEFINITION)
    await eventually(lambda: forebay.api.get(DEFINITION) is None, saying="its definition to go")
    await eventually(lambda: not definition_is_there(forebay), saying="its API to go")


async def install_definition(forebay: Forebay, definition: Json) -> None:
    body = {key: definition[key] for key in ("apiVersion", "kind", "spec")}
    metadata = definition["metadata"]
    body["metadata"] = {key: metadata[key] for key in ("name", "annotations")}
    forebay.api.create(DEFINITION.rpartition("/")[0], body)
    await eventually(lambda: definition_is_there(forebay), within=20, saying="its API")
