"""`forebay events tail`: follows what happens, over restarts of NATS, until it is ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from forebay.core.index_records import IndexOutcome
from support.nats.index_history import handled, make_index, publish, stored
from support.nats.nats_server import NatsServer
from support.programs.dead_command import forebay_process
from support.programs.python_process import PythonProcess
from support.timing.wait import eventually


def now() -> int:
    return int(time.time() * 1000)


async def until_printed(process: PythonProcess, count: int) -> list[dict[str, Any]]:
    """Wait until so many lines are there, and return them."""

    def lines() -> list[str] | None:
        found = process.printed()[0].splitlines(keepends=True)
        return found if len(found) >= count and found[-1].endswith("\n") else None

    found = await eventually(lines, within=30, saying=f"{count} lines")
    assert found is not None
    return [json.loads(line) for line in found]


async def test_what_happens_from_now_on_is_shown_and_ctrl_c_ends_it_well(
    nats_server: NatsServer,
) -> None:
    before, first, other = (
        stored("wamid.before", now()),
        stored("wamid.first", now()),
        stored("wamid.other", now(), endpoint="acme/shop"),
    )
    async with nats_server.client() as client:
        await make_index(client)
        await publish(client, "wamid.before", before)
        process = forebay_process(
            "events", "tail", "--since", "10m", "--json", "-e", "demo/meta",
            nats_url=nats_server.url,
        )  # fmt: skip
        await until_printed(process, 1)
        await publish(client, "wamid.other", other)
        await publish(client, "wamid.first", first, handled(first, now(), IndexOutcome.FAILED))
        shown = await until_printed(process, 3)
    assert [(each["id"], each["outcome"]) for each in shown] == [
        (before.token, "new"),
        (first.token, "new"),
        (first.token, "failed"),
    ]
    process.send_signal(signal.SIGINT)
    ended = await process.ended()
    assert (ended.code, ended.err) == (0, "")


async def test_it_goes_on_where_it_was_when_nats_comes_back(nats_server: NatsServer) -> None:
    one, two, three = (stored(f"wamid.{number}", now()) for number in range(3))
    async with nats_server.client() as client:
        await make_index(client)
        await publish(client, "wamid.0", one)
        process = forebay_process(
            "events", "tail", "--since", "10m", "--json", nats_url=nats_server.url
        )
        await until_printed(process, 1)
        await nats_server.stop()
        await eventually(
            lambda: "NATS did not answer" in process.printed()[1],
            within=30,
            saying="a line on NATS",
        )
        await nats_server.start()
        await eventually(lambda: client.is_connected, saying="the test's own connection")
        await publish(client, "wamid.1", two)
        await until_printed(process, 2)
        # A stream that is made again begins at 1.
        await client.jetstream().delete_stream("FOREBAY_INDEX_0")
        await make_index(client)
        await publish(client, "wamid.2", three)
        shown = await until_printed(process, 3)
    assert [each["id"] for each in shown] == [one.token, two.token, three.token]
    process.send_signal(signal.SIGINT)
    ended = await process.ended()
    assert ended.code == 0
    assert "NATS answers again" in ended.err
    assert "Traceback" not in ended.err


async def test_one_message_is_followed_whenever_it_was_stored(nats_server: NatsServer) -> None:
    own, other = stored("wamid.own", now()), stored("wamid.other", now())
    async with nats_server.client() as client:
        await make_index(client)
        await publish(client, "wamid.own", own)
        process = forebay_process(
            "events", "tail", "--json", "--wamid", "wamid.own", nats_url=nats_server.url
        )

        async def shown() -> bool:
            # It says nothing of when it has begun to follow.
            await publish(client, "wamid.other", handled(other, now()))
            await publish(client, "wamid.own", handled(own, now()))
            return bool(process.printed()[0])

        await eventually(shown, within=30, saying="a line of the message")
        found = await until_printed(process, 1)
    assert {each["id"] for each in found} == {own.token}
    process.kill()
    await process.ended()


async def test_it_ends_quietly_when_nobody_reads_any_more(nats_server: NatsServer) -> None:
    async with nats_server.client() as client:
        await make_index(client)
        await publish(client, "wamid.a", stored("wamid.a", now()))
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "forebay", "events", "tail", "--since", "10m"),
            env={**os.environ, "FOREBAY_NATS_URL": nats_server.url, "PYTHONSAFEPATH": "1"},
            stdout=writing,
            stderr=subprocess.PIPE,
        )
        os.close(writing)
        try:
            assert await asyncio.to_thread(os.read, reading, 1)
            os.close(reading)

            async def has_ended() -> bool:
                await publish(client, "wamid.a", stored("wamid.a", now()))
                return process.returncode is not None

            await eventually(has_ended, within=30, saying="the command to end")
        finally:
            if process.returncode is None:
                process.kill()
    _, said = await process.communicate()
    assert (said, process.returncode) == (b"", 141)
