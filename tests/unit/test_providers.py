"""Each provider is known wherever providers differ; none is forgotten, none is guessed."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any, Final, cast, get_args

import pytest
import yaml

from forebay.core import providers
from forebay.core.compile import compile_route
from forebay.core.errors import ConfigurationError
from forebay.core.providers.names import ProviderName, SimulatedName
from forebay.core.providers.provider import Provider
from forebay.core.providers.registry import PROVIDERS, provider_of
from forebay.core.resource import WebhookEndpoint, parse_endpoint
from forebay.core.signatures import SIGNATURE_HEADERS, sign, signature_check, signature_holds
from forebay.core.subjects import Lane
from forebay.core.tables import ProcessorTable, ReceiverTable, decode_table
from forebay.core.validation_errors import InvalidEndpoint
from forebay_simulator.provider_headers import ProviderHeaders
from support.inputs.splitting import split

NAMES: Final[tuple[ProviderName, ...]] = get_args(ProviderName)
SIMULATED: Final[tuple[SimulatedName, ...]] = get_args(SimulatedName)
CRD: Final = Path(__file__).parents[2] / "charts/forebay/files/crds/webhookendpoints.yaml"
BODY: Final = b'{"entry": []}'


def schema_of_spec() -> dict[str, Any]:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def endpoint(provider: str, **spec: object) -> WebhookEndpoint:
    reference = {"secretKeyRef": {"name": "secrets", "key": "app"}}
    return parse_endpoint(
        {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"namespace": "acme", "name": "shop"},
            "spec": {
                "provider": provider,
                "authentication": {"signature": {"secrets": [reference]}},
                "destinations": [{"name": "one", "log": {}}],
                **spec,
            },
        }
    )


def test_the_registry_has_each_name_and_each_provider_its_own() -> None:
    assert tuple(PROVIDERS) == NAMES
    assert [each.name for each in PROVIDERS.values()] == list(NAMES)


def test_every_provider_that_is_written_is_in_the_registry() -> None:
    written = [
        value
        for found in pkgutil.iter_modules(providers.__path__, f"{providers.__name__}.")
        for value in vars(importlib.import_module(found.name)).values()
        if isinstance(value, Provider)
    ]
    assert {id(each) for each in written} == {id(each) for each in PROVIDERS.values()}


def test_the_schema_takes_the_same_names() -> None:
    assert schema_of_spec()["properties"]["provider"]["enum"] == list(NAMES)


def test_the_schema_takes_headers_with_ids_for_the_same_providers() -> None:
    allowed = [name for name in NAMES if PROVIDERS[name].event_ids == "headers"]
    conditions = [*(f"self.provider == '{name}'" for name in allowed), "!has(self.deduplication)"]
    rules = [each["rule"] for each in schema_of_spec()["x-kubernetes-validations"]]
    assert " || ".join(conditions) in rules


@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_takes_headers_with_ids_where_receivers_read_them(name: ProviderName) -> None:
    given = {"deduplication": {"headers": ["X-Event-Id"]}}
    if PROVIDERS[name].event_ids == "headers":
        route = compile_route(endpoint(name, **given), lambda *_: "secret")
        assert route.id_headers == ("x-event-id",)
    else:
        with pytest.raises(InvalidEndpoint, match=f"{name}'s bodies carry ids of their own"):
            endpoint(name, **given)
        assert compile_route(endpoint(name), lambda *_: "secret").id_headers == ()


@pytest.mark.parametrize("name", NAMES)
def test_receivers_check_the_header_of_the_provider_and_store_it(name: ProviderName) -> None:
    check = compile_route(endpoint(name), lambda *_: "secret").authentication.signature
    scheme = PROVIDERS[name].signature
    assert check == signature_check(name, ("secret",))
    assert check is not None
    assert (check.header, check.prefix) == (scheme.header.lower(), scheme.prefix)
    assert check.header in SIGNATURE_HEADERS
    assert signature_holds(check, f"sha256={sign('secret', BODY)}", BODY)


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_of_a_provider_is_a_body_of_its_format(name: ProviderName) -> None:
    form = PROVIDERS[name].body_format
    body = json.dumps(form.sample(mark="1", time=1_700_000_000, channel="1082")).encode()
    (item,) = split(name, body, 0.0)
    assert item.is_complete or form.is_one_item
    assert form.lane_of(body) is item.lane is Lane.LIVE


def test_the_simulator_plays_those_who_say_so() -> None:
    assert {name for name in NAMES if PROVIDERS[name].is_simulated} == set(SIMULATED)


@pytest.mark.parametrize("name", SIMULATED)
def test_what_the_simulator_signs_is_taken(name: SimulatedName) -> None:
    lines = ProviderHeaders(name, "secret", ()).for_body(BODY).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    check = signature_check(name, ("secret",))
    assert signature_holds(check, headers[PROVIDERS[name].signature.header], BODY)


@pytest.mark.parametrize("name", ["gupshup", "", "Meta", None])
def test_there_is_no_provider_for_an_unknown_name(name: str | None) -> None:
    with pytest.raises(AssertionError):
        provider_of(cast("ProviderName", name))


ONE_ROUTE: Final = (
    '{"generation":"1","routes":[{"namespace":"acme","name":"shop","provider":"meta",'
    '"authentication":{"none":true}}]}'
)
ONE_ENDPOINT: Final = (
    '{"generation":"1","endpoints":[{"namespace":"acme","name":"shop","provider":"meta"}]}'
)


def test_a_table_with_an_unknown_provider_is_refused() -> None:
    assert decode_table(ONE_ROUTE.encode(), ReceiverTable).routes
    assert decode_table(ONE_ENDPOINT.encode(), ProcessorTable).endpoints
    with pytest.raises(ConfigurationError, match="gupshup"):
        decode_table(ONE_ROUTE.replace("meta", "gupshup").encode(), ReceiverTable)
    with pytest.raises(ConfigurationError, match="gupshup"):
        decode_table(ONE_ENDPOINT.replace("meta", "gupshup").encode(), ProcessorTable)
