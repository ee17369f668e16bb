"""Made-up webhooks look like the corpus, never repeat an id, and follow their seed."""

import json
import re
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_simulator.expected_keys import item_keys
from forebay_simulator.payloads import GeneratedPayloads
from support.inputs.corpus import PAYLOADS

EPOCH = 1_795_165_200
SEEDS = st.integers(min_value=0, max_value=2**32)


def generated(seed: int = 1, batch: int = 1) -> GeneratedPayloads:
    return GeneratedPayloads(random=Random(seed), epoch=EPOCH, batch=batch)  # no secrets


def shape(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """Reduce JSON to its property names and the types of its values."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__


def kind_of(body: bytes) -> str:
    """Name the file of the corpus that holds this kind of webhook."""
    value = json.loads(body)["entry"][0]["changes"][0]["value"]
    return f"status-{value['statuses'][0]['status']}" if "statuses" in value else "messages-text"


@given(seed=SEEDS, batch=st.integers(min_value=1, max_value=30))
def test_a_webhook_holds_as_many_items_as_asked_for_and_names_their_keys(
    seed: int, batch: int
) -> None:
    payload = generated(seed, batch).take(0.0)
    assert len(payload.keys) == payload.new_items == batch
    assert payload.keys == item_keys(payload.body)


def test_every_kind_has_the_shape_of_its_file_in_the_corpus() -> None:
    source = generated()
    shapes: dict[str, Any] = {}
    for _ in range(200):
        body = source.take(0.0).body
        shapes[kind_of(body)] = shape(json.loads(body))
    assert set(shapes) == {"messages-text", "status-sent", "status-delivered", "status-read"}
    for kind, seen in shapes.items():
        assert seen == shape(json.loads(PAYLOADS[kind].body)), kind


def test_items_of_one_person_share_a_change_in_a_batch() -> None:
    changes = json.loads(generated(batch=200).take(0.0).body)["entry"][0]["changes"]
    sizes = Counter(
        len(change["value"].get("messages") or change["value"]["statuses"]) for change in changes
    )
    assert sum(size * count for size, count in sizes.items()) == 200
    assert sizes[1]
    assert max(sizes) > 1


def test_ids_never_come_twice_and_statuses_of_a_reply_come_in_order() -> None:
    source = generated(batch=3)
    keys = [key for _ in range(2_000) for key in source.take(0.0).keys]
    assert len(set(keys)) == len(keys) == 6_000
    ranks = {"sent": 1, "delivered": 2, "read": 3}
    reached: Counter[str] = Counter()
    for key in keys:
        kind, _, rest = key.partition(":")
        if kind == "st":
            reply, _, status = rest.rpartition(":")
            assert ranks[status] == reached[reply] + 1
            reached[reply] += 1
    assert set(reached.values()) >= {2, 3}


def test_two_runs_without_a_common_seed_share_no_item() -> None:
    one, other = generated(1), generated(2)
    assert not {key for _ in range(500) for key in one.take(0.0).keys} & {
        key for _ in range(500) for key in other.take(0.0).keys
    }


@given(seed=SEEDS)
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    one, other = generated(seed), generated(seed)
    assert [one.take(0.0) for _ in range(50)] == [other.take(0.0) for _ in range(50)]


def test_timestamps_follow_the_time_of_the_run() -> None:
    body = generated().take(61.9).body
    assert b'"timestamp":"%d"' % (EPOCH + 61) in body


@pytest.mark.parametrize("batch", [1, 20])
def test_all_numbers_are_made_up(batch: int) -> None:
    source = generated(batch=batch)
    bodies = b"".join(source.take(0.0).body for _ in range(200)).decode()
    phones = set(re.findall(r'"(?:from|wa_id|recipient_id)":"(\d+)"', bodies))
    assert len(phones) > 50
    assert all(re.fullmatch(r"1555000\d{4}", phone) for phone in phones)
