"""The NATS that Forebay stores in is recognised under another name, and a stranger's is not."""

import pytest

from forebay.runtime.jetstream.server_identity import ServerIdentity
from forebay_processor.destinations.nats.own_nats import OWN_NATS, OWN_NATS_AWAY, OwnNats

OWN = ServerIdentity("A1", "forebay", frozenset({"10.0.0.1:4222", "10.0.0.2:4222"}), "10.9.0.1:1")


@pytest.mark.parametrize(
    ("other", "is_own"),
    [
        (ServerIdentity("A1", "", frozenset(), ""), True),
        (ServerIdentity("B2", "x", frozenset(), "10.9.0.1:1"), True),
        (ServerIdentity("B2", "forebay", frozenset({"10.0.0.2:4222"}), "1.2.3.4:4222"), True),
        (ServerIdentity("B2", "forebay", frozenset({"10.0.0.3:4222"}), "1.2.3.4:4222"), False),
        # Private addresses are used again and again: of another cluster they say nothing.
        (ServerIdentity("B2", "bus", frozenset({"10.0.0.2:4222"}), "1.2.3.4:4222"), False),
        (ServerIdentity("B2", "", frozenset({"10.0.0.2:4222"}), "1.2.3.4:4222"), False),
        (ServerIdentity("", "", frozenset(), ""), False),
    ],
)
def test_a_server_is_ours_by_its_id_its_address_or_its_cluster(
    other: ServerIdentity,
    is_own: bool,  # noqa: FBT001  # of a table
) -> None:
    guard = OwnNats(lambda: OWN, is_allowed=False)
    assert guard.objection(other) == (OWN_NATS if is_own else "")
    assert OwnNats(lambda: OWN, is_allowed=True).objection(other) == ""


def test_a_server_without_names_is_not_every_server() -> None:
    nameless = ServerIdentity("", "", frozenset(), "")
    assert OwnNats(lambda: nameless, is_allowed=False).objection(nameless) == ""


def test_while_our_own_is_away_nobody_is_trusted() -> None:
    other = ServerIdentity("B2", "", frozenset(), "1.2.3.4:4222")
    assert OwnNats(lambda: None, is_allowed=False).objection(other) == OWN_NATS_AWAY
    assert OwnNats(lambda: None, is_allowed=True).objection(other) == ""
