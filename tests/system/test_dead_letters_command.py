"""`forebay dead` as a user drives it: find what died, look at one, dry-run, replay, see it gone."""

import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.destinations.sink import Sink
from support.inputs.corpus import PAYLOADS
from support.programs.dead_command import Ended, ended, forebay_dead_process
from support.programs.ports import free_ports
from support.programs.program import Program
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

MANIFEST = """\
apiVersion: forebay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {{ namespace: acme, name: shop }}
spec:
  provider: meta
  authentication: {{ none: true }}
  destinations:
    - name: crm
      http: {{ url: "{url}" }}
"""


class Shop:
    """`forebay run` with one endpoint, in a folder of a user's own."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        self.folder = folder
        self.sink = sink
        self.port, admin, processor_admin = free_ports(3)
        (folder / "shop.yaml").write_text(MANIFEST.format(url=sink.url()))
        self.program = Program("forebay run", folder / "run.log")
        self._command = [
            *(sys.executable, "-m", "forebay", "run", "-f", "shop.yaml", "--json"),
            *("--port", str(self.port), "--admin-port", str(admin)),
            *("--processor-admin-port", str(processor_admin)),
        ]

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.program.launch(self._command, cwd=self.folder)

        def is_ready() -> bool:
            self.program.check()
            return any(line.startswith("{") for line in self.program.lines())

        await eventually(is_ready, within=30, saying="forebay run to be ready")

    async def send(self, name: str) -> None:
        """Be the provider."""
        request = request_bytes(
            "POST",
            "/v1/webhooks/acme/shop",
            headers={"Connection": "close"},
            body=PAYLOADS[name].body,
        )
        assert (await exchange(self.port, request)).status == 200

    async def dead(self, *arguments: str) -> Ended:
        """Run `forebay dead` in the user's folder; it finds the run by itself."""
        return await ended(await forebay_dead_process(*arguments, cwd=self.folder))


@pytest.fixture
async def shop(tmp_path: Path, sink: Sink) -> AsyncIterator[Shop]:
    """Give a running shop."""
    running = Shop(tmp_path, sink)
    await running.start()
    try:
        yield running
    finally:
        await running.program.end(signal.SIGTERM, within=40)


async def test_the_dead_letters_of_yesterday_are_replayed(shop: Shop) -> None:
    shop.sink.answer_next(422, 400)
    await shop.send("messages-text")
    await eventually(lambda: len(shop.sink.arrivals) == 1)
    await shop.send("messages-image")
    await eventually(lambda: len(shop.sink.arrivals) == 2)
    (text,) = PAYLOADS["messages-text"].webhook_ids()
    (image,) = PAYLOADS["messages-image"].webhook_ids()

    async def found() -> bool:
        listed = await shop.dead("ls", "--since", "yesterday")
        assert (listed.code, listed.err) == (0, "")
        return "2 dead letters" in listed.out and text[:12] in listed.out

    await eventually(found, within=20, saying="two dead letters in the list")

    shown = await shop.dead("show", text[:12])
    assert "Rejected" in shown.out
    assert "status 422" in shown.out
    assert "characters>" in shown.out

    choice = ("--endpoint", "acme/shop", "--since", "yesterday", "--reason", "Rejected")
    dry = await shop.dead("replay", *choice, "--dry-run")
    assert "replay: 2 dead letters" in dry.out
    assert "nothing was changed" in dry.out
    assert len(shop.sink.arrivals) == 2

    unasked = await shop.dead("replay", *choice)
    assert unasked.code == 2
    replayed = await shop.dead("replay", *choice, "--rate", "20", "--yes")
    assert "replayed: 2" in replayed.out
    await eventually(lambda: shop.sink.keys == {text, image}, saying="both at the destination")
    assert (await shop.dead("ls")).out == "no dead letters\n"

    again = await shop.dead("replay", *choice, "--yes", "--output", "json")
    assert json.loads(again.out)["found"] == 0
    # What comes now goes the usual way, and nothing came twice.
    await shop.send("messages-audio")
    await eventually(lambda: len(shop.sink.accepted) == 3)
    assert not shop.sink.repeats


async def test_what_is_replayed_while_nothing_runs_is_delivered_at_the_next_start(
    shop: Shop,
) -> None:
    shop.sink.answer_next(422)
    await shop.send("messages-text")
    (text,) = PAYLOADS["messages-text"].webhook_ids()

    async def is_dead() -> bool:
        return text[:12] in (await shop.dead("ls")).out

    await eventually(is_dead, within=20)
    # The destination is down, so the row is written and stays.
    await shop.sink.down()
    assert "replayed: 1" in (await shop.dead("replay", "--yes")).out
    await shop.program.end(signal.SIGTERM, within=40)
    stopped = await shop.dead("ls")
    assert stopped.code == 1
    assert "forebay run" in stopped.err
    await shop.sink.up()
    await shop.start()
    await eventually(lambda: shop.sink.keys == {text}, within=20)
    assert not shop.sink.repeats
