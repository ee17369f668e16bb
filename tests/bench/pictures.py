"""Draws the dashboards into docs/images, with the data of a run of minutes: `make pictures`."""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from support.observability.eventful_run import SHOP, EventfulRun
from support.pictures.sheets import ask_all, save

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"

DASHBOARDS: Final = ("overview", "endpoint", "platform")


async def draw(minutes: float, folder: Path) -> None:
    """Let all happen in these minutes, then draw what dashboards show of them."""
    namespace, _, endpoint = SHOP.partition("/")
    values = {"namespace": namespace, "endpoint": endpoint}
    with tempfile.TemporaryDirectory() as scratch:
        async with EventfulRun(Path(scratch), every="2s") as run:
            since = time.time()
            await run.go_on(seconds=minutes * 60)
            to = time.time()
            for name in DASHBOARDS:
                dashboard, shown = await ask_all(
                    run.prometheus, name, since=since, to=to, rate_interval="20s", **values
                )
                title = f"{dashboard['title']}    {SHOP if name == 'endpoint' else ''}"
                for theme in ("light", "dark"):
                    file = folder / f"{name}-{theme}.png"
                    save(file, title, shown, theme, (since, to), **values)
                    print(f"{file.name}: {file.stat().st_size} bytes")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(given.minutes, given.folder))


if __name__ == "__main__":
    main()
