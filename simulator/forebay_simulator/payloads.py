"""Made-up webhooks that look like the real ones: texts of many people, and statuses of replies.

Bodies are put together from bytes that were encoded once, not from objects: at 1,000 webhooks/s
the generator may cost a few hundredths of a core, no more. Shapes are those of the corpus
(messages-text, status-sent, status-delivered, status-read, batch-mixed), with its made-up numbers.
"""

import base64
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple, Protocol

import msgspec

__all__ = ["CHANNEL", "GeneratedPayloads", "Payload", "PayloadSource"]

CHANNEL: Final = "108200000000301"
"""The phone number id that all generated webhooks are about."""

ACCOUNT: Final = "104700000000701"
"""The WhatsApp Business Account of that number."""

MOST_OPEN: Final = 500
"""Replies whose next status is to come: a bound for memory, and old ones get finished."""

MESSAGE_SHARE: Final = 0.4
"""Inbound messages among the items; the rest are statuses. A reply has up to three."""

NEXT_STATUS_SHARE: Final = 0.6
"""Statuses that go on with a reply, against the first status of a new one."""

NEVER_READ_SHARE: Final = 0.3
"""Delivered replies that nobody opens: `read` never comes."""

LONGEST_RUN: Final = 3
"""Items in a row of one person, in a webhook that holds several."""

TEXTS: Final = tuple(
    msgspec.json.encode(text)
    for text in (
        "Do you have the blue one in stock?",
        "Café at 10?",
        "Thanks! 👍",
        "Where is my order?",
        'It says "not available" \\ what now?',
        "¿Abren mañana?\nSaludos",
        "When do you open on Saturday? I can come by before noon, or on Monday after work.",
    )
)

NAMES: Final = ("Ada Example", "Bo Sample", "Cleo Placeholder", "Zoë Specimen")

PRICING: Final = (
    b',"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"marketing"}'
)
"""Comes with `sent` and with `delivered`, never with `read`."""

HEAD: Final = (
    b'{"object":"whatsapp_business_account","entry":[{"id":"%b","changes":[' % ACCOUNT.encode()
)
TAIL: Final = b"]}]}"
CHANGE_HEAD: Final = (
    b'{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550009000",'
    b'"phone_number_id":"%b"},"contacts":[' % CHANNEL.encode()
)
CHANGE_TAIL: Final = b']},"field":"messages"}'


class Payload(NamedTuple):
    """One webhook's body."""

    number: int
    """Counts distinct bodies from 0: equal numbers are the same webhook, sent once more."""

    body: bytes

    keys: tuple[str, ...]
    """The keys of its items; see `keys.RECEIPT_WINDOW` for the few that depend on time."""

    new_items: int
    """Items that no body with a lower number holds."""


class PayloadSource(Protocol):
    """Where webhooks come from."""

    @property
    def takes_turns(self) -> bool:
        """Whether bodies come again."""

    def take(self, elapsed: float) -> Payload:
        """Return the next webhook, `elapsed` seconds after the start of the run."""


class _Person(NamedTuple):
    """What of a webhook depends on the person only, encoded."""

    phone: bytes
    contact: bytes
    sender: bytes
    recipient: bytes


class _Reply(NamedTuple):
    """A message that the business sent, and what of its way is still to come."""

    person: _Person
    message_id: str
    statuses: tuple[str, ...]


class GeneratedPayloads:
    """Makes webhooks without end; equal randomness and epoch give equal bytes."""

    takes_turns = False

    def __init__(self, *, random: Random, epoch: int, batch: int = 1, people: int = 1_000) -> None:
        """Prepare the people.

        Args:
            random: Where all choices and ids come from.
            epoch: Unix seconds of the start, for the timestamps.
            batch: Items in each webhook.
            people: Conversations that go on at the same time.
        """
        self._random = random
        self._epoch = epoch
        self._batch = batch
        self._people = [_person(number) for number in random.sample(range(10_000), people)]
        self._open: list[_Reply] = []
        self._made = 0
        self._ids = 0

    def take(self, elapsed: float) -> Payload:
        """Return the next webhook."""
        timestamp = b"%d" % (self._epoch + int(elapsed))
        keys: list[str] = []
        changes = b",".join(self._changes(timestamp, keys))
        number = self._made
        self._made += 1
        return Payload(number, HEAD + changes + TAIL, tuple(keys), len(keys))

    def _changes(self, timestamp: bytes, keys: list[str]) -> Iterator[bytes]:
        """Make changes with `batch` items in all, and note the items' keys."""
        while (room := self._batch - len(keys)) > 0:
            run = 1 if room == 1 else self._random.randint(1, min(room, LONGEST_RUN))
            if self._random.random() < MESSAGE_SHARE:
                yield self._messages(run, timestamp, keys)
            else:
                yield self._statuses(run, timestamp, keys)

    def _messages(self, run: int, timestamp: bytes, keys: list[str]) -> bytes:
        person = self._random.choice(self._people)
        items = []
        for _ in range(run):
            message_id = self._message_id(person, b"\x12\x18\x14", digits=20)
            keys.append(f"msg:{CHANNEL}:{message_id}")
            items.append(
                b'{%b,"id":"%b","timestamp":"%b","type":"text","text":{"body":%b}}'
                % (person.sender, message_id.encode(), timestamp, self._random.choice(TEXTS))
            )
        return b'%b%b],"messages":[%b%b' % (
            CHANGE_HEAD,
            person.contact,
            b",".join(items),
            CHANGE_TAIL,
        )

    def _statuses(self, run: int, timestamp: bytes, keys: list[str]) -> bytes:
        reply = self._reply()
        now, later = reply.statuses[:run], reply.statuses[run:]
        if later:
            self._open.append(reply._replace(statuses=later))
        items = []
        for status in now:
            keys.append(f"st:{CHANNEL}:{reply.message_id}:{status}")
            items.append(
                b'{"id":"%b","status":"%b","timestamp":"%b",%b%b}'
                % (
                    reply.message_id.encode(),
                    status.encode(),
                    timestamp,
                    reply.person.recipient,
                    b"" if status == "read" else PRICING,
                )
            )
        return b'%b%b],"statuses":[%b%b' % (
            CHANGE_HEAD,
            reply.person.contact,
            b",".join(items),
            CHANGE_TAIL,
        )

    def _reply(self) -> _Reply:
        """Take a reply whose next status is to come, or begin a new one."""
        random = self._random
        waiting = self._open
        if waiting and (len(waiting) >= MOST_OPEN or random.random() < NEXT_STATUS_SHARE):
            chosen = random.randrange(len(waiting))
            waiting[chosen], waiting[-1] = waiting[-1], waiting[chosen]
            return waiting.pop()
        person = random.choice(self._people)
        unread = random.random() < NEVER_READ_SHARE
        return _Reply(
            person=person,
            message_id=self._message_id(person, b"\x11\x18\x12", digits=18),
            statuses=("sent", "delivered") if unread else ("sent", "delivered", "read"),
        )

    def _message_id(self, person: _Person, kind: bytes, *, digits: int) -> str:
        """Return an id of the real ones' form: no two of a run are equal."""
        self._ids += 1
        unique = b"%0*X%08X" % (digits - 8, self._random.getrandbits(4 * (digits - 8)), self._ids)
        inner = b"\x1c\x18\x0b%b\x15\x02\x00%b%b\x00" % (person.phone, kind, unique)
        return "wamid." + base64.b64encode(inner).decode()


def _person(number: int) -> _Person:
    phone = f"1555000{number:04d}"
    user_id = f"US.7010000000000000{number:04d}"
    name = NAMES[number % len(NAMES)]
    return _Person(
        phone=phone.encode(),
        contact=msgspec.json.encode(
            {"profile": {"name": name}, "wa_id": phone, "user_id": user_id}
        ),
        sender=f'"from":"{phone}","from_user_id":"{user_id}"'.encode(),
        recipient=f'"recipient_id":"{phone}","recipient_user_id":"{user_id}"'.encode(),
    )
