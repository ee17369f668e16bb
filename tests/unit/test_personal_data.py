"""Whose a stored item is: of one person, by all names, and of nobody else."""

import json
import time

import pytest

from forebay.core import envelope
from forebay.core.body_item import body_item
from forebay.core.envelope import encode_item
from forebay.core.item import Item
from forebay.core.person_matching import NAMES_LIMIT, Holds, Person
from forebay.core.subjects import conversation_token
from support.inputs.corpus import PAYLOADS
from support.inputs.splitting import split
from support.processor.processor_harness import CHANNEL, webhook

PERSON, USER = "15550001234", "US.70100000000000001234"
"""Both of one person, in the corpus."""

OTHER = "15550005678"


def person(*names: str, conversations: tuple[str, ...] = ()) -> Person:
    return Person(names=frozenset(names), conversations=frozenset(conversations))


def holds(who: Person, item: Item) -> Holds:
    return who.has_in_item({envelope.CONVERSATION: item.conversation}, encode_item(item))


def items_of(body: bytes) -> list[Item]:
    return split("meta", body, time.time())


def test_a_message_is_of_its_sender_and_of_nobody_else() -> None:
    (item,) = items_of(webhook(("wamid.a", PERSON)))
    assert holds(person(PERSON), item) is Holds.PERSON
    assert holds(person(OTHER), item) is Holds.NOTHING
    assert holds(person(PERSON[:-1]), item) is Holds.NOTHING
    assert holds(person(CHANNEL), item) is Holds.NOTHING


@pytest.mark.parametrize("name", [PERSON, USER])
def test_a_person_is_found_by_number_and_by_user_id(name: str) -> None:
    who = person(name)
    (item,) = items_of(PAYLOADS["messages-text"].body)
    assert holds(who, item) is Holds.PERSON
    assert who.names == {PERSON, USER}


def test_an_item_that_has_another_name_only_is_found_when_that_one_was_learned() -> None:
    who = person(PERSON)
    (both,) = items_of(PAYLOADS["messages-text"].body)
    only_user = webhook(("wamid.u", PERSON)).replace(b'"from"', b'"from_user_id"')
    (alone,) = items_of(only_user.replace(PERSON.encode(), USER.encode()))
    assert holds(who, alone) is Holds.NOTHING
    holds(who, both)
    assert holds(who, alone) is Holds.PERSON


def test_a_conversation_s_token_leads_to_the_name_that_it_is_of() -> None:
    who = person(conversations=(conversation_token(CHANNEL, PERSON),))
    (item,) = items_of(webhook(("wamid.a", PERSON)))
    (elsewhere,) = items_of(webhook(("wamid.b", PERSON), channel="2"))
    assert holds(who, elsewhere) is Holds.NOTHING
    assert holds(who, item) is Holds.PERSON
    assert who.names == {PERSON}
    assert holds(who, elsewhere) is Holds.PERSON


def test_a_member_of_a_group_is_of_the_group_s_items_in_its_own_only() -> None:
    (status,) = items_of(PAYLOADS["status-group-delivered"].body)
    assert holds(person(OTHER), status) is Holds.PERSON
    who = person(OTHER)
    holds(who, status)
    assert "GROUP0000EXAMPLE01" not in who.names
    assert holds(person(PERSON), status) is Holds.NOTHING


def test_what_another_one_wrote_of_a_person_in_a_sentence_is_the_other_s() -> None:
    (item,) = items_of(webhook(("wamid.a", OTHER), text=f"call {PERSON} please"))
    assert holds(person(PERSON), item) is Holds.NOTHING


def test_the_business_own_number_is_no_person() -> None:
    (item,) = items_of(webhook(("wamid.a", PERSON)))
    assert holds(person("15550009000"), item) is Holds.NOTHING


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([OTHER], Holds.NOTHING),
        ([PERSON], Holds.PERSON),
        ([PERSON, PERSON], Holds.PERSON),
        ([PERSON, OTHER], Holds.OTHERS_TOO),
    ],
)
def test_a_webhook_says_whether_it_holds_others_too(people: list[str], expected: Holds) -> None:
    body = webhook(*((f"wamid.{number}", each) for number, each in enumerate(people)))
    assert person(PERSON).has_in_body(body) is expected
    whole = body_item(body, {}, items_of(body), time.time())
    assert holds(person(PERSON), whole) is expected


def test_a_webhook_that_cannot_be_read_may_be_anybody_s() -> None:
    assert person(PERSON).has_in_body(b'{"from": "%s", ' % PERSON.encode()) is Holds.OTHERS_TOO
    assert person(PERSON).has_in_body(b'{"from": "%s9", ' % PERSON.encode()) is Holds.NOTHING
    assert person(PERSON).has_in_item({}, PERSON.encode()) is Holds.OTHERS_TOO


def test_names_that_a_body_invents_are_bounded() -> None:
    who = person(PERSON)
    parts = [{"from": PERSON, "from_user_id": f"US.{number:07}"} for number in range(1000)]
    who.has_in_body(json.dumps(parts).encode())
    assert len(who.names) == NAMES_LIMIT


def test_nesting_ends_no_search() -> None:
    deep = b'{"from":"' + PERSON.encode() + b'","x":' + b"[" * 900 + b"]" * 900 + b"}"
    assert person(PERSON).has_in_body(deep) is Holds.PERSON
