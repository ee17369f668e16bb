"""`forebay dead --invalid`: bodies that no parser took are found, and split again when told so."""

from typing import Any

import pytest

from forebay.core.subjects import Lane
from support.dead import Ended, forebay_dead
from support.plant import Plant, token, webhook
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def told(plant: Plant, name: str, verb: str, *options: str) -> Ended:
    """Run a verb on an endpoint's invalid bodies; it has to go well."""
    done = await forebay_dead(
        *(verb, "--invalid", "--endpoint", f"demo/{name}", *options),
        nats_url=plant.stack.nats_server.url,
    )
    assert (done.code, done.err) == (0, "")
    return done


async def bodies(plant: Plant, name: str) -> list[dict[str, Any]]:
    """Return what `ls` says of them."""
    return (await told(plant, name, "ls", "-o", "json")).records


async def test_a_body_that_can_be_read_at_last_is_split_and_delivered_once(plant: Plant) -> None:
    name = plant.plain()
    body = webhook(("wamid.late", "15550001111"), ("wamid.late.2", "15550002222"))
    # As a receiver of an older version set it aside, which did not know its shape.
    await plant.store(name, body, lane=Lane.INVALID)
    keys = [token("wamid.late"), token("wamid.late.2")]
    await plant.wait_delivered(name, keys)
    (found,) = await bodies(plant, name)
    assert (found["reason"], found["kind"]) == ("Invalid", "unreadable")
    # Twice: each is split again, and the claims let nothing through that was delivered.
    for _ in range(2):
        done = await told(plant, name, "replay", "--yes", "-o", "json")
        assert done.record["outcomes"]["replayed"] == 1

    async def repeats() -> bool:
        labels = {"endpoint": name, "outcome": "repeat"}
        return await plant.processor.metric("forebay_processor_items_total", **labels) == 4

    await eventually(repeats, saying="both copies to be split")
    assert sorted(plant.delivered(name)) == sorted(keys)


async def test_what_still_cannot_be_read_stays(plant: Plant) -> None:
    name = plant.plain()
    await plant.store(name, b"\xffno json", lane=Lane.INVALID)
    (before,) = await bodies(plant, name)
    assert "no json" not in (await told_of(plant, before["id"])).out
    assert "no json" in (await told_of(plant, before["id"], "--reveal")).out
    await told(plant, name, "replay", "--yes")
    (after,) = await bodies(plant, name)
    assert after["id"] == before["id"]
    assert after["diedAt"] > before["diedAt"]
    assert "removed: 1" in (await told(plant, name, "purge", "--yes")).out
    assert await bodies(plant, name) == []


async def told_of(plant: Plant, own: str, *options: str) -> Ended:
    return await forebay_dead(
        *("show", "--invalid", own, *options), nats_url=plant.stack.nats_server.url
    )


async def test_a_body_whose_provider_was_wrong_reaches_its_destination(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name), provider="meta")
    await plant.store(name, b'{"order": 7}', lane=Lane.INVALID)

    async def was_looked_at() -> bool:
        return bool(
            [
                line
                for line in plant.processor.logged("body_unreadable")
                if line["endpoint"] == f"demo/{name}"
            ]
        )

    await eventually(was_looked_at)
    await plant.serve(name, plant.http(name), provider="generic")
    await told(plant, name, "replay", "--yes")
    await eventually(lambda: len(plant.delivered(name)) == 1)
    assert plant.arrivals(name)[0].event["data"] == {"order": 7}


@pytest.mark.parametrize("options", [("ls", "--kind", "messages"), ("replay", "--to", "crm")])
async def test_what_a_body_has_not_cannot_be_asked_for(options: tuple[str, ...]) -> None:
    done = await forebay_dead(*options, "--invalid")
    assert done.code == 2
    assert "leave --to out" in done.err or "--invalid goes with" in done.err
