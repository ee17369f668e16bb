"""What a manifest says, and what it means where it says nothing."""

import pytest
from pydantic import ValidationError

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import API_VERSION, KIND, WebhookEndpoint, parse_endpoint

SECRET = {"secretKeyRef": {"name": "crm", "key": "token"}}


def document(**spec: object) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"namespace": "acme", "name": "sales"},
        "spec": {
            "provider": "meta",
            "authentication": {"signature": {"secrets": [SECRET]}},
            "destinations": [{"name": "log", "log": {}}],
            **spec,
        },
    }


def parse(**spec: object) -> WebhookEndpoint:
    return parse_endpoint(document(**spec))


def test_what_is_left_out_has_the_documented_defaults() -> None:
    spec = parse().spec
    assert spec.throughput.messages_per_second == 80
    assert spec.throughput.reply_ratio == 0.3
    assert spec.receiver.isolation is None
    assert (spec.receiver.replicas.min, spec.receiver.replicas.max) == (2, 20)
    assert (spec.processing.isolation, spec.processing.shard) == ("Shared", "0")
    assert spec.processing.ordering == "Conversation"
    assert spec.processing.status_order == "Monotonic"
    assert spec.paused is False
    retry = spec.destinations[0].retry
    assert (retry.initial_delay, retry.max_delay, retry.max_age) == (1, 600, 259_200)


def test_an_http_destination_has_the_documented_defaults() -> None:
    endpoint = parse(destinations=[{"name": "crm", "http": {"url": "https://crm.example.com/in"}}])
    http = endpoint.spec.destinations[0].http
    assert http is not None
    assert (http.format, http.timeout_seconds, http.max_in_flight) == ("Event", 10, 64)
    assert http.headers == ()
    assert http.signing is None


def test_everything_can_be_said_at_once() -> None:
    endpoint = parse(
        provider="360dialog",
        channel={"phoneNumberId": "108200000000301", "wabaId": "104700000000701"},
        host="hooks.example.com",
        throughput={"messagesPerSecond": 1000, "replyRatio": 1},
        authentication={
            "headers": [{"name": "Authorization", "values": [SECRET, SECRET]}],
            "signature": {"secrets": [SECRET]},
            "verifyToken": SECRET,
        },
        receiver={
            "isolation": "Shared",
            "replicas": {"min": 3, "max": 3},
            "resources": {"requests": {"cpu": 1, "memory": "256Mi"}, "limits": {"cpu": "1500m"}},
        },
        processing={
            "isolation": "Dedicated",
            "shard": "acme",
            "ordering": "None",
            "statusOrder": "None",
        },
        destinations=[
            {
                "name": "crm",
                "events": ["messages", "statuses"],
                "channels": ["108200000000301"],
                "http": {
                    "url": "http://crm.acme.svc:8080/in?tenant=1",
                    "format": "Event",
                    "headers": [
                        {"name": "X-Tenant", "value": "acme"},
                        {"name": "Authorization", "secretKeyRef": SECRET["secretKeyRef"]},
                    ],
                    "signing": SECRET,
                    "timeoutSeconds": 2.5,
                    "maxInFlight": 8,
                },
                "retry": {"initialDelay": "500ms", "maxDelay": "1h30m", "maxAge": "168h"},
            },
            {"name": "log", "log": {}},
        ],
        paused=True,
    )
    assert endpoint.endpoint == EndpointName("acme", "sales")
    retry = endpoint.spec.destinations[0].retry
    assert (retry.initial_delay, retry.max_delay, retry.max_age) == (0.5, 5400, 604_800)
    assert endpoint.spec.receiver.resources is not None
    assert endpoint.spec.receiver.resources.requests == {"cpu": "1", "memory": "256Mi"}


def test_what_a_cluster_adds_to_metadata_and_status_is_taken() -> None:
    manifest = document()
    manifest["metadata"] = {
        "name": "sales",
        "uid": "4f0c",
        "labels": {"team": "crm"},
        "managedFields": [{"manager": "kubectl"}],
    }
    manifest["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert parse_endpoint(manifest).endpoint == EndpointName("default", "sales")


def test_anyone_may_send_only_where_that_is_said_and_a_verify_token_may_stand_beside_it() -> None:
    authentication = parse(authentication={"none": True, "verifyToken": SECRET}).spec.authentication
    assert authentication.none is True
    assert authentication.verify_token is not None


def test_a_manifest_cannot_be_changed_once_it_is_read() -> None:
    endpoint = parse()
    with pytest.raises(ValidationError, match="frozen"):
        endpoint.spec.paused = True
