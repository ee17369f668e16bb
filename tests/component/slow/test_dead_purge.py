"""`forebay dead purge` and `replay` of many: exactly what was meant, whatever dies meanwhile."""

import asyncio
from pathlib import Path
from typing import cast

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core.dead_letters import DeadLetterFilter
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, endpoint_partition
from forebay.runtime.dead_letter_replay import DeadLetters
from forebay.runtime.dead_letter_store import DeadLetterOutcome
from forebay.runtime.jetstream.errors import ForeignAnswer, StoreError
from forebay.runtime.jetstream.streams import ensure_shard
from support.nats.nats_server import NatsServer
from support.nats.streams import count
from support.processor.processor_harness import DEAD, RETRY
from support.programs.dead_command import dead_letter, ended, forebay_dead, forebay_dead_process
from support.programs.stack import SHARD
from support.timing.wait import eventually


async def test_purge_removes_what_is_meant_and_nothing_else(
    client: Client, nats_server: NatsServer
) -> None:
    await dead_letter(client, "wamid.stays")
    await dead_letter(client, "wamid.goes.1", reason="Expired")
    await dead_letter(client, "wamid.goes.2", reason="Expired", destination="bus")
    purge = ("purge", "--reason", "Expired", "--output", "json")
    dry = await forebay_dead(*purge, "--dry-run", nats_url=nats_server.url)
    assert (dry.code, dry.record["found"], await count(client, DEAD)) == (0, 2, 3)
    done = await forebay_dead(*purge, "--yes", nats_url=nats_server.url)
    assert (done.code, done.record["outcomes"]["removed"]) == (0, 2)
    assert await count(client, DEAD) == 1
    assert await count(client, RETRY) == 0
    again = await forebay_dead(*purge, "--yes", nats_url=nats_server.url)
    assert again.record["found"] == 0
    everything = await forebay_dead("purge", "--all", "--yes", nats_url=nats_server.url)
    assert "removed: 1" in everything.out
    assert await count(client, DEAD) == 0


async def test_a_killed_replay_goes_on_where_it_was(
    client: Client, nats_server: NatsServer
) -> None:
    keys = await asyncio.gather(
        *(dead_letter(client, f"wamid.kill.{number}") for number in range(200))
    )
    process = await forebay_dead_process(
        "replay", "--yes", "--rate", "100", "--nats-url", nats_server.url
    )

    async def is_under_way() -> bool:
        return await count(client, RETRY) >= 20

    await eventually(is_under_way)
    process.kill()
    await ended(process)
    assert 0 < await count(client, DEAD) < 200
    second = await forebay_dead("replay", "--yes", "--rate", "0", nats_url=nats_server.url)
    assert second.code == 0
    assert await count(client, DEAD) == 0
    # One row an item, written once: nobody wrote over one that a processor could be working on.
    state = (await client.jetstream().stream_info(RETRY)).state
    assert (state.messages, state.last_seq) == (len(set(keys)), len(set(keys)))


async def test_a_replay_outlives_a_restart_of_nats(client: Client, nats_server: NatsServer) -> None:
    for number in range(60):
        await dead_letter(client, f"wamid.restart.{number}")
    replay = asyncio.create_task(
        forebay_dead("replay", "--yes", "--rate", "30", "-o", "json", nats_url=nats_server.url)
    )

    async def is_under_way() -> bool:
        return await count(client, RETRY) >= 5

    await eventually(is_under_way)
    await nats_server.restart()
    done = await replay
    outcomes = done.record["outcomes"]
    assert (done.code, outcomes["replayed"] + outcomes["waiting"]) == (0, 60)
    async with nats_server.client() as fresh:
        assert await count(fresh, RETRY) == 60
        assert await count(fresh, DEAD) == 0


RIGHTS = """
authorization {{
  users: [
    {{ user: admin, password: admin }}
    {{
      user: processor, password: processor
      permissions {{
        publish: [
          "forebay.event.>", "forebay.retry.>", "forebay.dead.>", "$JS.ACK.>"
          "forebay.raw.*.*.invalid.>"
          "$JS.API.CONSUMER.INFO.*.*", "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.CREATE.>"
          "$JS.API.DIRECT.GET.>", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.DELETE.*"
          "$JS.API.STREAM.PURGE.*"
        ]
        subscribe: ["_INBOX_forebay_processor.>"]
      }}
    }}
  ]
}}
"""
"""What the chart gives a processor, and docs/kubernetes.md asks for."""


async def test_the_rights_of_a_processor_are_enough(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", config=RIGHTS.format()) as server:
        admin = await nats.connect(server.url, user="admin", password="admin")
        await ensure_shard(admin, SHARD)
        key = await dead_letter(admin, "wamid.rights")
        mine = {"FOREBAY_NATS_USER": "processor", "FOREBAY_NATS_PASSWORD": "processor"}
        shown = await forebay_dead("show", key, nats_url=server.url, environment=mine)
        assert (shown.code, shown.err) == (0, "")
        done = await forebay_dead("replay", "--yes", nats_url=server.url, environment=mine)
        assert "replayed: 1" in done.out
        await dead_letter(admin, "wamid.rights")
        done = await forebay_dead("purge", "--all", "--yes", nats_url=server.url, environment=mine)
        assert "removed: 1" in done.out
        own = EndpointName("demo", "meta")
        body = str(RawSubject("0", endpoint_partition(own, "0"), Lane.INVALID, own))
        await admin.jetstream().publish(body, b"no json")
        again = ("replay", "--invalid", "--yes")
        done = await forebay_dead(*again, nats_url=server.url, environment=mine)
        assert "replayed: 1" in done.out
        mine["FOREBAY_NATS_USER"] = "nobody"
        refused = await forebay_dead("ls", nats_url=server.url, environment=mine)
        assert refused.code == 1
        assert "refuses the user" in refused.err
        await admin.close()


async def test_what_dies_after_the_count_stays(client: Client) -> None:
    await dead_letter(client, "wamid.seen")
    letters, outcomes = DeadLetters(client, ("0",)), list[DeadLetterOutcome]()
    plan = await letters.plan(DeadLetterFilter(), lambda _: None)
    await dead_letter(client, "wamid.later")
    await letters.work(DeadLetterFilter(), plan, letters.purge, outcomes.append)
    assert outcomes == [DeadLetterOutcome.REMOVED]
    ((left,),) = [page async for page in letters.find(DeadLetterFilter())]
    assert left.item is not None
    assert left.item.key.endswith("wamid.later")


class Stranger:
    """Answers in NATS' place, with JSON that says nothing."""

    async def request(self, *_: object, **__: object) -> Msg:
        """Answer whatever is asked."""
        return Msg(cast("Client", self), data=b"{}")


async def test_a_letter_of_which_a_stranger_answers_is_not_taken_for_removed(
    client: Client,
) -> None:
    await dead_letter(client, "wamid.one")
    ((letter,),) = [page async for page in DeadLetters(client, ("0",)).find(DeadLetterFilter())]
    with pytest.raises(ForeignAnswer):
        await DeadLetters(cast("Client", Stranger()), ("0",)).purge(letter)


async def test_only_what_nats_has_removed_or_knows_no_more_counts_as_gone(client: Client) -> None:
    await dead_letter(client, "wamid.one")
    letters = DeadLetters(client, ("0",))
    ((letter,),) = [page async for page in letters.find(DeadLetterFilter())]
    assert await letters.purge(letter) is DeadLetterOutcome.REMOVED
    assert await letters.purge(letter) is DeadLetterOutcome.GONE
    await client.jetstream().delete_stream(DEAD)
    with pytest.raises(StoreError):
        await letters.purge(letter)
