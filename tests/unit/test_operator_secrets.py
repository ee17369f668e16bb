"""Of a tenant's Secrets no more is kept than can stand in a table."""

import pytest

from forebay.core.errors import ConfigurationError
from forebay_operator.services.secrets import ALL_TOGETHER, EndpointSecrets

LIMIT = 1024


def test_only_the_keys_that_are_named_are_kept() -> None:
    secrets = EndpointSecrets(limit=LIMIT)
    secrets.keep("crm", {"token": "t", "other": "o"}, frozenset({"token"}))
    assert secrets("acme", "crm", "token") == "t"
    assert secrets.values == {"crm": {"token": "t"}}


def test_a_value_that_no_table_can_hold_is_reported_with_its_size_and_what_to_do() -> None:
    secrets = EndpointSecrets(limit=LIMIT)
    secrets.keep("crm", {"ca.crt": "x" * 888 * 1024}, frozenset({"ca.crt"}))
    with pytest.raises(ConfigurationError) as caught:
        secrets("acme", "crm", "ca.crt")
    assert str(caught.value).startswith(
        "key 'ca.crt' of Secret 'crm' has 888 KiB, and an endpoint may bring 1 KiB into a table"
    )
    assert "`limits.tableKiB`" in str(caught.value)
    assert secrets.is_beyond_limit
    assert not secrets.is_missing


def test_many_secrets_together_are_bounded_too() -> None:
    secrets = EndpointSecrets(limit=LIMIT)
    for number in range(100):
        secrets.keep(f"s{number}", {"key": "x" * LIMIT}, frozenset({"key"}))
    kept = [name for name, values in secrets.values.items() if values]
    assert len(kept) == ALL_TOGETHER
    with pytest.raises(ConfigurationError, match="store less"):
        secrets("acme", "s99", "key")


def test_what_is_bounded_are_bytes_not_letters() -> None:
    secrets = EndpointSecrets(limit=LIMIT)
    for number in range(100):
        secrets.keep(f"s{number}", {"key": "ä" * (LIMIT // 2)}, frozenset({"key"}))
    kept = [name for name, values in secrets.values.items() if values]
    assert len(kept) == ALL_TOGETHER
