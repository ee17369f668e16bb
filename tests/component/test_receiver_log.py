"""A receiver's log holds no secret, no text of a message and no phone number, whatever comes."""

import json
from pathlib import Path

from support.inputs.corpus import APP_SECRET, PAYLOADS, PLATFORM_SECRET
from support.inputs.tables import PATH, VERIFY_TOKEN
from support.receiver.receiver_harness import (
    OLD_SECRET,
    OLD_TOKEN,
    TOKEN,
    ReceiverHarness,
    path_of,
    signed,
)
from support.timing.wait import eventually

_LONG_ENOUGH = 8
"""Shorter texts, such as `text`, are words of the log's own too."""


def private_texts(value: object, name: str = "") -> set[str]:
    """Return what stands in a body and must not stand in a log: names, numbers, texts, ids."""
    if isinstance(value, dict):
        return {text for key, part in value.items() for text in private_texts(part, str(key))}
    if isinstance(value, list):
        return {text for part in value for text in private_texts(part, name)}
    if name in {"object", "field", "type", "event", "status", "messaging_product"}:
        return set()
    return {str(value)} if len(str(value)) >= _LONG_ENOUGH else set()


async def test_a_full_run_leaves_nothing_private_in_the_log(tmp_path: Path) -> None:
    async with ReceiverHarness(
        tmp_path,
        FOREBAY_LOG_LEVEL="debug",
        FOREBAY_RECEIVER_BUDGET_SECONDS="0.3",
        FOREBAY_RECEIVER_BODY_SECONDS="0.3",
    ) as receiver:
        for each in PAYLOADS.values():
            assert (await receiver.post(each.body)).status == 200
        body = PAYLOADS["messages-text"].body
        for headers, path in (
            (signed(body, "a-wrong-secret"), PATH),
            ({"Authorization": "Bearer a-wrong-token"}, path_of("d360")),
            ({"Authorization": TOKEN}, path_of("d360")),
            ({"Authorization": TOKEN}, path_of("15550001234")),
        ):
            await receiver.post(body, headers, path=path)
        await receiver.get(
            f"{PATH}?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1"
        )
        await receiver.get(
            f"{PATH}?hub.mode=subscribe&hub.verify_token=a-wrong-token&hub.challenge=1"
        )
        receiver.stack.nats_server.freeze()
        assert (await receiver.post(receiver.new_body())).status == 503
        receiver.stack.nats_server.thaw()
        await receiver.stack.nats_server.kill()
        await receiver.stack.nats_server.start()
        await eventually(lambda: _stores(receiver), saying="webhooks to be stored again")
        await receiver.part.terminate()
    log = receiver.part.log.read_text()
    assert "receiver_stopped" in log
    private = {APP_SECRET, PLATFORM_SECRET, OLD_SECRET, OLD_TOKEN, TOKEN, VERIFY_TOKEN}
    private |= {"a-wrong-secret", "a-wrong-token", "15550001234"}
    private |= {text for each in PAYLOADS.values() for text in private_texts(json.loads(each.body))}
    assert [text for text in private if text in log] == []


async def _stores(receiver: ReceiverHarness) -> bool:
    return (await receiver.post(receiver.new_body())).status == 200


async def test_refusals_of_an_endpoint_have_a_line_at_once_and_one_at_the_end_for_the_rest(
    tmp_path: Path,
) -> None:
    async with ReceiverHarness(tmp_path) as receiver:
        body = PAYLOADS["messages-text"].body
        for _ in range(5):
            answer = await receiver.post(body, signed(body, "a-wrong-secret"), path=PATH)
            assert answer.status == 401
        assert (await receiver.post(receiver.new_body())).status == 200
        await receiver.part.terminate()
        lines = receiver.part.logged("webhooks_refused")
    assert [(each["reason"], each["status"], each["count"]) for each in lines] == [
        ("signature_wrong", 401, 1),
        ("signature_wrong", 401, 4),
    ]
    assert all(PATH.endswith(each["endpoint"]) for each in lines)
