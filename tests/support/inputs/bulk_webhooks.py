"""Webhooks by the ten thousand: made up, each with one item and its `webhook-id`.

They are stored in RAW all at once, as receivers would have done before, or sent to a receiver.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.signatures import sign
from forebay.core.subjects import Lane, RawSubject, endpoint_partition, key_token
from forebay.runtime.settings import NatsSettings
from forebay_simulator.sender import HttpSender
from support.inputs.corpus import APP_SECRET, payload
from support.inputs.tables import ENDPOINT
from support.nats.publishing import publishing

__all__ = [
    "ACCEPTED",
    "Template",
    "Webhook",
    "post",
    "send_paced",
    "status_template",
    "statuses",
    "store_all",
    "text_template",
    "texts",
]

PEOPLE: Final = 1_000
"""Conversations that go on at the same time."""

AT_ONCE: Final = 1_000
"""Publishes in flight."""

STORE_SECONDS: Final = 30.0
"""For JetStream to take one of them, on a machine that does much else."""

ACCEPTED: Final = 200

DRAWN: Final = 100
"""One webhook in so many is traced, where traces are on: as shipped."""


class Webhook(NamedTuple):
    """A body with the token of its one item."""

    token: str
    body: bytes


class Template:
    """Makes copies of a payload that differ in the item's id and in the person.

    Put together from bytes that were encoded once: who sends should cost little.
    """

    def __init__(self, name: str, items: str, key: str, mark: str, people: int) -> None:
        """Encode it.

        Args:
            name: The payload of the corpus.
            items: Where its value has the one item.
            key: The item's key, with places for `channel` and its `own` id.
            mark: Part of each id.
            people: Copies are of so many people in turns.
        """
        document = json.loads(payload(name).body)
        value = document["entry"][0]["changes"][0]["value"]
        ((contact,), (item,)) = value["contacts"], value[items]
        whole = json.dumps(document, separators=(",", ":")).encode()
        self._left, self._right = whole.split(item["id"].encode())
        self._number, self._user = contact["wa_id"].encode(), contact["user_id"].encode()
        self._key = key.replace("{channel}", value["metadata"]["phone_number_id"])
        self._mark = mark
        self._people = people

    def webhook(self, number: int) -> Webhook:
        """Return a copy; the same number gives the same one."""
        own, person = f"wamid.{self._mark}{number:09d}", number % self._people
        body = own.encode().join((self._left, self._right))
        body = body.replace(self._number, b"1555%07d" % person)
        body = body.replace(self._user, b"US.7010000%013d" % person)
        return Webhook(key_token(self._key.format(own=own)), body)


def text_template(mark: str = "TEXT", people: int = PEOPLE) -> Template:
    """Return what makes inbound texts."""
    return Template("messages-text", "messages", "msg:{channel}:{own}", mark, people)


def status_template(status: str, mark: str = "STATUS", people: int = PEOPLE) -> Template:
    """Return what makes statuses: `sent`, `delivered` or `read`, each of a message of its own."""
    key = f"st:{{channel}}:{{own}}:{status}"
    return Template(f"status-{status}", "statuses", key, mark, people)


def texts(count: int, mark: str = "TEXT", people: int = PEOPLE) -> Iterator[Webhook]:
    """Give inbound texts in turns of so many people."""
    return map(text_template(mark, people).webhook, range(count))


def statuses(count: int, mark: str = "STATUS") -> Iterator[Webhook]:
    """Give statuses of as many replies to a thousand people."""
    return map(status_template("delivered", mark).webhook, range(count))


async def store_all(
    nats_url: str,
    webhooks: Iterable[Webhook],
    lane: Lane,
    name: str = ENDPOINT,
    *,
    partitions: Sequence[int] = (),
) -> None:
    """Store webhooks in RAW as a receiver does, as quickly as they are taken.

    Args:
        nats_url: Where to store them.
        webhooks: What to store.
        lane: The lane of all.
        name: The endpoint that got them.
        partitions: Others than the endpoint's: each webhook goes to all of them, one right after
            the other. RAW does not know them as repeats there.
    """
    own = EndpointName(*name.split("/"))
    marks = {number: f".{number}" for number in partitions} or {endpoint_partition(own, "0"): ""}
    subjects = [(str(RawSubject("0", number, lane, own)), mark) for number, mark in marks.items()]
    async with publishing(NatsSettings(url=nats_url)) as publisher:
        await publisher.wait_reached()
        for some in _chunks(webhooks):
            await asyncio.gather(
                *(
                    publisher.send(
                        subject,
                        webhook.body,
                        {
                            envelope.MESSAGE_ID: webhook.token + mark,
                            envelope.RECEIVED_AT: str(int(time.time() * 1000)),
                            envelope.ENDPOINT: name,
                            envelope.TRACEPARENT: _trace_of(webhook),
                            envelope.CONTENT_TYPE: "application/json",
                            "x-hub-signature-256": f"sha256={sign(APP_SECRET, webhook.body)}",
                        },
                        STORE_SECONDS,
                    )
                    for webhook in some
                    for subject, mark in subjects
                )
            )


def _trace_of(webhook: Webhook) -> str:
    is_drawn = int(webhook.token[:8], 16) % DRAWN == 0
    return f"00-{webhook.token}-{webhook.token[:16]}-{'01' if is_drawn else '00'}"


def _chunks(webhooks: Iterable[Webhook]) -> Iterator[list[Webhook]]:
    left = iter(webhooks)
    while some := list(itertools.islice(left, AT_ONCE)):
        yield some


async def post(sender: HttpSender, body: bytes) -> int | str:
    """Send a body to a receiver with its signature; returns the status, or why there is none."""
    headers = f"X-Hub-Signature-256: sha256={sign(APP_SECRET, body)}\r\n"
    return await sender.post(body, f"Content-Type: application/json\r\n{headers}".encode())


async def send_paced(url: str, webhooks: Iterable[Webhook], rate: float) -> dict[str, float]:
    """Send webhooks to a receiver by the clock; returns when each was due, by its token.

    Waits for no answer before the next one, and for all answers at the end; each has to be 200.
    """
    due: dict[str, float] = {}
    async with HttpSender(url, timeout=5) as sender, asyncio.TaskGroup() as group:

        async def send(webhook: Webhook) -> None:
            answer = await post(sender, webhook.body)
            assert answer == ACCEPTED, f"a webhook was answered {answer}"

        began = time.time()
        for number, webhook in enumerate(webhooks):
            moment = began + number / rate
            await asyncio.sleep(max(0.0, moment - time.time()))
            due[webhook.token] = moment
            group.create_task(send(webhook))
    return due
