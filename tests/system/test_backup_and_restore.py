"""Streams that were backed up go on in an empty NATS, as docs/backup.md says."""

import asyncio
import time
from pathlib import Path
from typing import Final

from forebay.runtime.jetstream.streams import index_config
from support.inputs.corpus import payload
from support.inputs.tables import PATH
from support.nats.nats_server import NatsServer
from support.nats.streams import count
from support.processor.processor_harness import DEAD, EVENTS, RAW, RETRY
from support.programs.command import run
from support.programs.stack import SHARD, Stack
from support.programs.under_load import play, tokens, wait_all_done, worked_off
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

IN_THE_ORDER_OF_THE_WAY: Final = (RAW, EVENTS, RETRY, DEAD, index_config(SHARD).name)
"""What leaves a stream is in the next one by then, or was delivered: so nothing is missed."""

ACKS_SECONDS: Final = 1.0
"""What was delivered so shortly before may be backed up without its ack."""


async def back_up(nats_cli: str, url: str, folder: Path) -> None:
    for stream in IN_THE_ORDER_OF_THE_WAY:
        target = str(folder / str(stream))
        await run(nats_cli, "-s", url, "stream", "backup", str(stream), target, "--no-progress")


async def restore(nats_cli: str, url: str, folder: Path) -> None:
    for stream in IN_THE_ORDER_OF_THE_WAY:
        await run(
            nats_cli, "-s", url, "stream", "restore", str(folder / str(stream)), "--no-progress"
        )


async def send_text(port: int) -> str:
    """Send one webhook of the corpus; returns its item's id at the destination."""
    text = payload("messages-text")
    request = request_bytes("POST", PATH, headers=signed(text.body), body=text.body)
    assert (await exchange(port, request)).status == 200
    (key,) = text.webhook_ids()
    return key


async def test_what_was_stored_is_all_delivered_and_nothing_twice(
    stack: Stack, tmp_path: Path, nats_cli: str
) -> None:
    stack.serve_demo()
    receiver, processor = await stack.receiver(), await stack.processor()

    stack.sink.answer_next(422)
    dead = await send_text(receiver.port)
    async with stack.nats_server.client() as client:

        async def is_dead() -> bool:
            return await count(client, DEAD) == 1

        await eventually(is_dead, saying="a dead letter")
        async with play(receiver, seconds=1) as playing:
            delivered = await playing
        await wait_all_done(stack, delivered)

        stack.sink.status = 503
        async with play(receiver, seconds=1) as playing:
            waiting = await playing

        async def are_parked() -> bool:
            return await count(client, RETRY) == len(tokens(waiting))

        await eventually(are_parked, within=30, saying="all of them in RETRY")
        assert await processor.terminate() == 0
        async with play(receiver, seconds=1) as playing:
            stored = await playing
        assert await receiver.terminate() == 0

    await back_up(nats_cli, stack.nats_server.url, tmp_path / "backup")
    await stack.nats_server.stop()
    stack.sink.status = 200
    async with NatsServer(tmp_path / "other") as other:
        await restore(nats_cli, other.url, tmp_path / "backup")
        stack.nats_server = other
        await stack.provision()
        receiver, _ = await stack.receiver(), await stack.processor()
        wanted = tokens(delivered) | tokens(waiting) | tokens(stored)
        await eventually(lambda: stack.sink.keys >= wanted, within=30, saying="all of it")
        await worked_off(stack)
        assert stack.sink.keys == wanted
        assert not stack.sink.repeats
        async with other.client() as client:
            assert await count(client, DEAD) == 1

        # The claims are there, too: what the provider sends again now is known.
        assert await send_text(receiver.port) == dead
        await worked_off(stack)
        assert len(stack.sink.of(dead)) == 1


async def test_a_backup_under_load_loses_nothing_of_before_and_repeats_only_what_came_since(
    stack: Stack, tmp_path: Path, nats_cli: str
) -> None:
    stack.serve_demo()
    receiver, processor = await stack.receiver(), await stack.processor()
    stack.sink.delay_seconds = 0.3
    async with play(receiver, rate=300, seconds=2) as playing:
        before = await playing
    begun = time.time()
    assert not stack.sink.keys >= tokens(before), "all of it was delivered before the backup"
    async with play(receiver, seconds=3) as playing:
        await back_up(nats_cli, stack.nats_server.url, tmp_path / "backup")
        await playing
    early = {
        item
        for each in stack.sink.accepted
        if each.at + stack.sink.delay_seconds < begun - ACKS_SECONDS
        for item in each.items
    }
    await processor.kill()
    await receiver.kill()
    await stack.nats_server.stop()

    stack.sink.delay_seconds = 0.0
    async with NatsServer(tmp_path / "other") as other:
        await restore(nats_cli, other.url, tmp_path / "backup")
        stack.nats_server = other
        await stack.provision()
        await stack.processor()
        await eventually(
            lambda: stack.sink.keys >= tokens(before), within=30, saying="all of before"
        )
        await worked_off(stack)
        assert stack.sink.repeats.keys() & early == set()


async def test_an_installation_s_streams_do_not_stand_in_the_way_without_a_word(
    stack: Stack, tmp_path: Path, nats_cli: str
) -> None:
    """Streams have to be restored before anything makes them: the program refuses else."""
    await back_up(nats_cli, stack.nats_server.url, tmp_path / "backup")
    program = await asyncio.create_subprocess_exec(
        *(
            nats_cli,
            "-s",
            stack.nats_server.url,
            "stream",
            "restore",
            str(tmp_path / "backup" / RAW),
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await program.communicate()
    assert program.returncode != 0
    assert b"already" in said
