"""Which servers a stream lacks, by what JetStream says of its replicas."""

from typing import Any

import pytest

from forebay_operator.models.stream_state import StreamState

THERE = {"name": "n2", "current": True, "active": 30_000_000}


def missing(*others: dict[str, Any], replicas: int = 3) -> int:
    answer: dict[str, Any] = {
        "config": {"num_replicas": replicas, "max_bytes": 100},
        "state": {"bytes": 7},
        "cluster": {"leader": "n1", "replicas": list(others)},
    }
    state = StreamState.of("FOREBAY_RAW_0", answer)
    assert (state.name, state.size, state.limit) == ("FOREBAY_RAW_0", 7, 100)
    return state.missing_replicas


@pytest.mark.parametrize(
    ("other", "lacks"),
    [
        (THERE, 0),
        # Under load it is a few entries behind whenever it is asked for.
        ({**THERE, "current": False, "lag": 40}, 0),
        ({**THERE, "current": False, "lag": 50_000}, 1),
        ({**THERE, "current": False, "active": 60 * 10**9}, 1),
        ({**THERE, "current": False, "active": 0, "lag": 2}, 1),
        ({**THERE, "offline": True}, 1),
    ],
)
def test_a_server_that_is_away_or_far_behind_is_missed(other: dict[str, Any], lacks: int) -> None:
    assert missing(THERE, other) == lacks


def test_a_server_that_is_not_named_is_missed() -> None:
    assert missing(THERE) == 1


def test_one_server_alone_lacks_none() -> None:
    assert missing(replicas=1) == 0
