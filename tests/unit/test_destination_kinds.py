"""Each kind of destination is known wherever kinds are distinguished; none is forgotten."""

import time
import typing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from forebay.core.compile import compile_endpoint
from forebay.core.destination_spec import DESTINATION_KINDS, DestinationSpec
from forebay.core.resource import parse_endpoint
from forebay.core.tables import Destination, HttpTarget, LogTarget, Target
from forebay_processor.destinations.kinds import limits_of, made_of
from support.destinations.clients import own_clients

ROOT: Final = Path(__file__).parents[2]

SMALLEST: Final[dict[str, dict[str, Any]]] = {
    "http": {"url": "https://crm.example.com/in"},
    "log": {},
    "postgres": {"dsn": {"secretKeyRef": {"name": "warehouse", "key": "dsn"}}},
    "python": {"handler": "acme.bot:handle"},
    "nats": {"url": "nats://bus.example.com", "subject": "acme.whatsapp"},
}
"""The least that a manifest says of each kind."""


def test_there_is_a_smallest_manifest_of_each_kind() -> None:
    assert set(SMALLEST) == set(DESTINATION_KINDS)


@pytest.mark.parametrize("kind", DESTINATION_KINDS)
async def test_a_destination_of_each_kind_is_taken_made_and_limited(kind: str) -> None:
    manifest = parse_endpoint(
        {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"namespace": "acme", "name": "shop"},
            "spec": {
                "provider": "meta",
                "authentication": {"none": True},
                "destinations": [{"name": "one", kind: SMALLEST[kind]}],
            },
        }
    )
    assert manifest.spec.destinations[0].kind == kind
    (made,) = compile_endpoint(manifest, lambda *_: "postgresql://forebay@db/shop").destinations
    assert made.target is getattr(made, kind)
    assert isinstance(made.target, typing.get_args(Target))
    assert limits_of(made.target).in_flight > 0
    async with own_clients() as clients:
        made_of(made.target, clients, time.time).close()


def test_schema_manifest_and_tables_have_the_same_kinds() -> None:
    document = yaml.safe_load(
        (ROOT / "charts/forebay/files/crds/webhookendpoints.yaml").read_text()
    )
    (version,) = document["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema = spec["properties"]["destinations"]["items"]["properties"]
    others = {"name", "events", "channels", "filter", "transform", "retry"}
    assert set(schema) - others == set(DESTINATION_KINDS)
    assert set(DestinationSpec.model_fields) - others == set(DESTINATION_KINDS)
    fields = {field.name for field in msgspec.structs.fields(Destination)}
    assert fields - others == set(DESTINATION_KINDS)


@pytest.mark.parametrize("kinds", [{}, {"http": HttpTarget(url="http://a/"), "log": LogTarget()}])
def test_a_table_with_a_destination_of_no_kind_or_two_is_refused(kinds: dict[str, Target]) -> None:
    with pytest.raises(ValueError, match="exactly one kind"):
        Destination(name="one", **kinds)  # type: ignore[arg-type]
    text = {"name": "one", **{name: msgspec.to_builtins(each) for name, each in kinds.items()}}
    with pytest.raises(msgspec.ValidationError, match="exactly one kind"):
        msgspec.convert(text, Destination)
