"""A receiver's log holds no secret, no text of a message and no phone number, whatever comes."""

import json
from pathlib import Path

from support.corpus import APP_SECRET, PAYLOADS, PLATFORM_SECRET
from support.edge import OLD_SECRET, OLD_TOKEN, TOKEN, Edge, path_of, signed
from support.tables import PATH, VERIFY_TOKEN
from support.wait import eventually

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
    async with Edge(
        tmp_path,
        FOREBAY_LOG_LEVEL="debug",
        FOREBAY_RECEIVER_BUDGET_SECONDS="0.3",
        FOREBAY_RECEIVER_BODY_SECONDS="0.3",
    ) as edge:
        for each in PAYLOADS.values():
            assert (await edge.post(each.body)).status == 200
        body = PAYLOADS["messages-text"].body
        for headers, path in (
            (signed(body, "a-wrong-secret"), PATH),
            ({"Authorization": "Bearer a-wrong-token"}, path_of("d360")),
            ({"Authorization": TOKEN}, path_of("d360")),
            ({"Authorization": TOKEN}, path_of("15550001234")),
        ):
            await edge.post(body, headers, path=path)
        await edge.get(f"{PATH}?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1")
        await edge.get(f"{PATH}?hub.mode=subscribe&hub.verify_token=a-wrong-token&hub.challenge=1")
        edge.stack.nats_server.freeze()
        assert (await edge.post(edge.new_body())).status == 503
        edge.stack.nats_server.thaw()
        await edge.stack.nats_server.kill()
        await edge.stack.nats_server.start()
        await eventually(lambda: _stores(edge), saying="webhooks to be stored again")
        await edge.receiver.terminate()
    log = edge.receiver.log.read_text()
    assert "receiver_stopped" in log
    private = {APP_SECRET, PLATFORM_SECRET, OLD_SECRET, OLD_TOKEN, TOKEN, VERIFY_TOKEN}
    private |= {"a-wrong-secret", "a-wrong-token", "15550001234"}
    private |= {text for each in PAYLOADS.values() for text in private_texts(json.loads(each.body))}
    assert [text for text in private if text in log] == []


async def _stores(edge: Edge) -> bool:
    return (await edge.post(edge.new_body())).status == 200
