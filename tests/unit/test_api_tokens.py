"""Tokens of the HTTP API: only the hash is kept, and what is none is refused."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forebay.core.api_tokens import ApiScope, ApiToken, holder_of, new_token, read_token
from forebay.core.errors import ConfigurationError

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
CHANCE = bytes(range(32))


def entry(text_digest: str, **fields: object) -> dict[str, object]:
    return {
        "name": "console",
        "sha256": text_digest,
        "namespaces": ["acme"],
        "scopes": ["events"],
        **fields,
    }


def token(*, chance: bytes = CHANCE, **fields: Any) -> tuple[str, ApiToken]:  # noqa: ANN401  # of an entry
    text, digest = new_token(chance)
    return text, read_token(json.dumps(entry(digest, **fields)).encode())


def test_the_holder_is_found_by_the_token_and_by_nothing_else() -> None:
    (text, own), (_, other) = token(), token(chance=bytes(32))
    assert holder_of(text, [other, own], NOW) is own
    assert holder_of(text, [other], NOW) is None
    for wrong in (own.sha256, text[:-1], f"{text} ", "", "fby_", text.upper(), "é" * 9, text * 9):
        assert holder_of(wrong, [other, own], NOW) is None, wrong


def test_what_is_kept_holds_nothing_of_the_token() -> None:
    text, own = token()
    assert text.startswith("fby_")
    assert len(text) == 47
    assert text.removeprefix("fby_") not in own.sha256


def test_one_that_has_expired_is_none_from_that_moment_on() -> None:
    text, own = token(expires=NOW.isoformat())
    assert holder_of(text, [own], NOW - timedelta(seconds=1)) is own
    assert holder_of(text, [own], NOW) is None


def test_a_token_is_for_its_namespaces_or_for_all() -> None:
    _, own = token()
    assert own.is_for("acme")
    assert not own.is_for("other")
    assert own.own_namespaces == frozenset({"acme"})
    _, every = token(namespaces=["*"])
    assert every.is_for("other")
    assert every.own_namespaces is None


@pytest.mark.parametrize(
    "fields",
    [
        {"sha256": "abc"},
        {"sha256": "A" * 64},
        {"namespaces": []},
        {"namespaces": ["Acme!"]},
        {"scopes": []},
        {"scopes": ["write"]},
        {"name": "a b"},
        {"expires": "2026-12-01T12:00:00"},
        {"token": "fby_in_the_clear"},
    ],
)
def test_an_entry_that_cannot_be_is_refused_without_its_values(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        token(**fields)
    assert "in_the_clear" not in str(refused.value)


def test_every_scope_is_one_of_the_page() -> None:
    assert [*ApiScope] == ["events", "webhooks", "waiting", "dead", "destinations", "reveal"]
