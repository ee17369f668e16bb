"""A NATS with one RAW stream, played: it answers a publish as the test says, or not at all.

A real one loses a PubAck, or has no leader, when it likes to. Everything else is as nats-server
says it: its greeting, the probe's answer, the state of a stream in so many copies.
"""

import asyncio
import contextlib
import json
from collections import deque
from typing import Final, Literal

from typing_extensions import override

from support.programs.ports import HOST
from support.programs.scope import Scope

__all__ = ["PlayedStore", "Published"]

Answer = Literal["stored", "nobody", "silence", "lost"]
"""To a publish: a PubAck, no responders, nothing; or it is stored and the connection lost, and the
PubAck comes over the next one."""

_STREAM: Final = "FOREBAY_RAW_0"
_MESSAGE_ID: Final = b"Nats-Msg-Id: "


class Published:
    """A publish that came."""

    def __init__(self, message_id: str, payload: bytes) -> None:
        self.message_id = message_id
        self.payload = payload


class PlayedStore(Scope):
    """It listens from `async with` on; each client may come and go."""

    def __init__(self, *, copies: int) -> None:
        """Prepare a stream in so many copies."""
        super().__init__()
        self.copies = copies
        self.answers: deque[Answer] = deque()
        """To the publishes that come, in this order; behind them each is `always`."""

        self.always: Answer = "stored"
        self.published: list[Published] = []
        self.stored: list[str] = []
        """The ids of the messages that are stored."""

        self.asked = 0
        """How often the stream's state was asked for."""

        self.lets_in = True
        """Whether it serves new connections."""

        self.url = ""
        self._late: list[tuple[str, object]] = []
        self._writers: set[asyncio.StreamWriter] = set()

    def go_away(self) -> None:
        """End all connections, and serve no other."""
        self.lets_in = False
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        server = await asyncio.start_server(self._serve, HOST, 0)
        self.url = f"nats://{HOST}:{server.sockets[0].getsockname()[1]}"
        await cleanup.enter_async_context(server)
        cleanup.callback(self.drop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.lets_in:
            writer.close()
            return
        self._writers.add(writer)
        writer.write(b'INFO {"max_payload":1048576,"headers":true}\r\n')
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                await self._command(line, reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def _command(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        verb, *fields = line.decode().split()
        match verb:
            case "PING":
                writer.write(b"PONG\r\n")
                for reply, answer in self._late:
                    _say(writer, reply, answer)
                self._late.clear()
            case "PUB":
                await reader.readexactly(int(fields[-1]) + 2)
                self.asked += 1
                config = {"max_bytes": 1024**2, "num_replicas": self.copies}
                _say(writer, fields[1], {"config": config, "state": {"bytes": 0}})
            case "HPUB":
                whole = (await reader.readexactly(int(fields[-1]) + 2))[:-2]
                size = int(fields[-2])
                if fields[0].endswith(".probe"):
                    error = {
                        "code": 400,
                        "err_code": 10071,
                        "description": "wrong last sequence: 0",
                    }
                    _say(writer, fields[1], {"stream": _STREAM, "error": error})
                else:
                    self._take(whole[:size], whole[size:], fields[1], writer)
            case _:
                pass

    def _take(
        self, headers: bytes, payload: bytes, reply: str, writer: asyncio.StreamWriter
    ) -> None:
        message_id = headers.partition(_MESSAGE_ID)[2].partition(b"\r\n")[0].decode()
        self.published.append(Published(message_id, payload))
        answer = self.answers.popleft() if self.answers else self.always
        if answer == "nobody":
            writer.write(f"HMSG {reply} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n".encode())
            return
        if answer == "silence":
            return
        is_repeat = message_id in self.stored
        if not is_repeat:
            self.stored.append(message_id)
        ack = {"stream": _STREAM, "seq": self.stored.index(message_id) + 1}
        if answer == "lost":
            self._late.append((reply, ack))
            writer.close()
            return
        _say(writer, reply, ack | ({"duplicate": True} if is_repeat else {}))


def _say(writer: asyncio.StreamWriter, reply: str, answer: object) -> None:
    text = json.dumps(answer)
    writer.write(f"MSG {reply} 1 {len(text)}\r\n{text}\r\n".encode())
