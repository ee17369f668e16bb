"""`forebay run` with the example of a handler in Python, and after a change of it."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp

from support.destinations.sink import Sink
from support.processor.processor_harness import webhook
from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.timing.wait import eventually

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "python"


async def test_the_example_answers_and_new_code_answers_otherwise(tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    ports = [str(port) for port in free_ports(3)]
    program = Program("forebay run", tmp_path / "run.log")

    def ready() -> dict[str, Any]:
        program.check()
        lines = [json.loads(line) for line in program.lines() if line[:1] == "{"]
        return lines[-1] if lines else {}

    async with Sink() as api, aiohttp.ClientSession() as session:
        program.launch(
            [
                *(sys.executable, "-m", "forebay", "run", "--file", "endpoint.yaml", "--json"),
                *("--data-dir", str(tmp_path / "data"), "--port", ports[0]),
                *("--admin-port", ports[1], "--processor-admin-port", ports[2]),
            ],
            cwd=folder,
            environment={**os.environ, "SHOP_API": api.url("/replies")},
        )
        try:
            await eventually(ready, within=20, saying="the ready line")

            async def say(wamid: str) -> None:
                answer = await session.post(
                    f"http://{HOST}:{ports[0]}/v1/webhooks/demo/bot",
                    data=webhook((wamid, "15550001234")),
                    headers={
                        "Authorization": "Bearer bot-example-token",
                        "Content-Type": "application/json",
                    },
                )
                assert answer.status == 200

            await say("wamid.first")
            await eventually(lambda: len(api.arrivals) == 1, within=20)
            assert "open orders" in json.loads(api.arrivals[0].body)["text"]

            code = (folder / "bot.py").read_text()
            (folder / "bot.py").write_text(code.replace("open orders", "parcels on their way"))
            log = tmp_path / "data" / "logs" / "processor.log"
            await eventually(
                lambda: log.read_text().count('"processor_started"') == 2,
                within=20,
                saying="the processor to start again",
            )
            await say("wamid.second")
            await eventually(lambda: len(api.arrivals) == 2, within=20)
            assert "parcels on their way" in json.loads(api.arrivals[1].body)["text"]
        finally:
            if program.running:
                await program.end(signal.SIGTERM, within=40)
