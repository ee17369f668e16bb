"""The wildcards by which an item is found in each stream fit its subjects there, and no other's."""

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    REPLAY,
    DeadSubject,
    EventSubject,
    Lane,
    RetrySubject,
    StreamKind,
    key_token,
    subjects_of_item,
)

SHOP, OTHER = EndpointName("acme", "shop"), EndpointName("acme", "other")
TOKEN = key_token("msg:1:wamid.a")


def subjects(token: str, endpoint: EndpointName) -> dict[StreamKind, list[str]]:
    """Return where an item is, by stream; in RETRY as what waits and as a replay."""
    person = "0123456789abcdef"
    return {
        StreamKind.EVENTS: [str(EventSubject("0", 7, Lane.LIVE, endpoint, "messages", token))],
        StreamKind.RETRY: [
            str(RetrySubject("0", 7, Lane.LIVE, endpoint, "crm", person, token)),
            str(RetrySubject("0", 7, REPLAY, endpoint, "crm", person, token)),
        ],
        StreamKind.DEAD: [str(DeadSubject("0", endpoint, "crm", token))],
    }


def fits(subject: str, wildcard: str) -> bool:
    """Say whether NATS would give a subject to who asks for a wildcard without `>`."""
    own, asked = subject.split("."), wildcard.split(".")
    return len(own) == len(asked) and all(
        each in {"*", part} for part, each in zip(own, asked, strict=True)
    )


@pytest.mark.parametrize("kind", [StreamKind.EVENTS, StreamKind.RETRY, StreamKind.DEAD])
def test_an_item_is_found_where_it_is(kind: StreamKind) -> None:
    anywhere, at_shop = subjects_of_item("0", TOKEN), subjects_of_item("0", TOKEN, str(SHOP))
    own, elsewhere = subjects(TOKEN, SHOP)[kind], subjects(TOKEN, OTHER)[kind]
    assert all(fits(each, anywhere[kind]) for each in (*own, *elsewhere))
    assert all(fits(each, at_shop[kind]) for each in own)
    assert not any(fits(each, at_shop[kind]) for each in elsewhere)
    others = subjects(key_token("msg:1:wamid.b"), SHOP)[kind]
    assert not any(fits(each, anywhere[kind]) for each in others)
    assert not any(fits(each, subjects_of_item("1", TOKEN)[kind]) for each in own)
