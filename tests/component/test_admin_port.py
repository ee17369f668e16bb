"""The admin port of a part: whether it lives, whether it is ready, and what it shows."""

from aiohttp import ClientSession

from forebay.runtime.admin import admin_application, serve_admin
from forebay.runtime.metrics import CONTENT_TYPE, Exposition
from forebay.runtime.process_start import open_listener


async def exposition(_: str) -> Exposition:
    """Return metrics."""
    return Exposition(b"up 1\n", CONTENT_TYPE)


async def test_it_is_served_until_the_end_of_the_block() -> None:
    waiting = ["a table"]
    app = admin_application(lambda: waiting, exposition, {"/load": lambda: {"owned": 3}})
    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        async with ClientSession(f"http://127.0.0.1:{port}") as session:
            async with serve_admin(app, listener):
                async with session.get("/livez") as answer:
                    assert await answer.json() == {"ok": True, "waiting_for": []}
                async with session.get("/readyz") as answer:
                    assert answer.status == 503
                    assert await answer.json() == {"ok": False, "waiting_for": ["a table"]}
                waiting.clear()
                async with session.get("/readyz") as answer:
                    assert answer.status == 200
                    assert await answer.json() == {"ok": True, "waiting_for": []}
                async with session.get("/metrics") as answer:
                    assert answer.headers["Content-Type"] == CONTENT_TYPE
                    assert await answer.read() == b"up 1\n"
                async with session.get("/load") as answer:
                    assert await answer.json() == {"owned": 3}
                async with session.get("/other") as answer:
                    assert answer.status == 404
            assert listener.fileno() == -1
