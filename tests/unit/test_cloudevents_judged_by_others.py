"""What destinations get is read by the readers of the two specifications themselves."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import decode_item, encode_item
from forebay.core.item import Item
from forebay_processor.destinations.cloudevents import (
    CLOUDEVENTS_TYPE,
    encode_event,
    standard_webhooks_signature,
)
from forebay_processor.destinations.port import Attempt
from support.inputs.corpus import Payload, payload
from support.inputs.splitting import split

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def attempt(item: Item, number: int = 1) -> Attempt:
    return Attempt(
        endpoint=EndpointName("demo", "meta"),
        destination="crm",
        lane=item.lane,
        token=item.token,
        conversation=item.conversation,
        item=decode_item(encode_item(item)),
        number=number,
        received_at=1_767_225_600.0,
        traceparent=TRACE,
        other_channel=False,
    )


def items_of(body: bytes) -> Sequence[Item]:
    return split("meta", body, 1_767_225_600.0)


def read(body: bytes) -> BaseCloudEvent:
    return from_structured_event(HTTPMessage(headers={"content-type": CLOUDEVENTS_TYPE}, body=body))


def test_every_item_of_the_corpus_is_a_cloudevent(payload: Payload) -> None:
    for item in items_of(payload.body):
        event = read(encode_event(attempt(item)))
        assert event.get_id() == item.token
        assert event.get_type() == f"dev.forebay.whatsapp.{item.kind}"
        assert event.get_data() == item.data


def test_an_event_says_all_that_a_destination_needs() -> None:
    (item,) = items_of(payload("messages-text").body)
    event = read(encode_event(attempt(item)))
    assert event.get_source() == "/forebay/demo/meta"
    assert event.get_datacontenttype() == "application/json"
    moment = event.get_time()
    assert moment is not None
    assert moment.astimezone(UTC) == datetime.fromisoformat(item.time)
    extensions = ("itemkey", "itemtype", "lane", "channel", "conversation", "traceparent")
    assert [event.get_extension(name) for name in extensions] == [
        item.key,
        "text",
        "live",
        item.channel,
        item.conversation,
        TRACE,
    ]


def test_every_attempt_has_the_same_body() -> None:
    (item,) = items_of(payload("messages-text").body)
    assert encode_event(attempt(item, number=1)) == encode_event(attempt(item, number=7))


def verify(secret: str, now: int, body: bytes, signature: str, webhook_id: str = "id-1") -> None:
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature,
    }
    Webhook(secret).verify(body, headers)


def test_a_signature_is_verified_by_the_standard_s_own_code() -> None:
    body = encode_event(attempt(items_of(payload("messages-text").body)[0]))
    now = int(time.time())
    signature = standard_webhooks_signature((SECRET,), "id-1", now, body)
    verify(SECRET, now, body, signature)
    with pytest.raises(WebhookVerificationError):
        verify(OTHER, now, body, signature)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, now, body + b" ", signature)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, now, body, signature, webhook_id="id-2")


def test_the_signature_is_that_of_the_specification_s_example() -> None:
    body = b'{"test": 2432232314}'
    webhook_id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert (
        standard_webhooks_signature((SECRET,), webhook_id, 1_614_265_330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_each_live_secret_signs() -> None:
    body = b"{}"
    now = int(time.time())
    signature = standard_webhooks_signature((SECRET, OTHER), "id-1", now, body)
    for secret in (SECRET, OTHER):
        verify(secret, now, body, signature)
