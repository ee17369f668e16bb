"""The ledger names each item as destinations see it."""

import io
import json

from forebay_simulator.expected_keys import item_keys
from forebay_simulator.ledger import WebhookRecord, write_ledger
from support.inputs.corpus import PAYLOADS, Payload


def test_tokens_are_the_webhook_ids_that_destinations_get(payload: Payload) -> None:
    file = io.BytesIO()
    record = WebhookRecord(index=3, keys=item_keys(payload.body), accepted=True, attempts=2)
    write_ledger(file, [record])
    line = json.loads(file.getvalue())
    assert (line["index"], line["accepted"], line["attempts"]) == (3, True, 2)
    assert tuple(line["keys"]) == payload.key_patterns
    if payload.has_timed_keys:
        assert line["tokens"] == [None]
    else:
        assert tuple(line["tokens"]) == payload.webhook_ids()


def test_there_is_one_line_per_webhook() -> None:
    file = io.BytesIO()
    keys = item_keys(PAYLOADS["batch-mixed"].body)
    write_ledger(file, [WebhookRecord(index=index, keys=keys) for index in range(3)])
    lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert all(len(line["keys"]) == len(line["tokens"]) == 4 for line in lines)
