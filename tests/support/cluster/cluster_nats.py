"""The release's NATS seen from outside: what its streams hold, and consumers that stand still."""

import base64
import contextlib
import json
import os
import signal
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import nats
from nats.aio.client import Client

from support.cluster.cluster import Cluster
from support.programs.ports import free_port
from support.programs.program import Program
from support.timing.wait import eventually

__all__ = ["ClusterNats"]

STREAMS: Final = ("RAW", "EVENTS", "RETRY", "DEAD")


class ClusterNats:
    """A connection as the operator's user, through a forwarded port."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Prepare.

        Args:
            cluster: Where.
            namespace: The release's.
        """
        self._cluster = cluster
        self._namespace = namespace
        self._folder = Path(tempfile.mkdtemp())
        self._forward = Program("kubectl port-forward", self._folder / "forward.log")
        self._client = Client()

    async def __aenter__(self) -> Self:
        """Forward a port and connect."""
        port = free_port()
        where = ("-n", self._namespace, "port-forward", "svc/forebay-nats", f"{port}:4222")
        self._forward.launch(["kubectl", *where], cwd=self._folder, environment=os.environ)
        await eventually(self._forward.lines, saying="the forwarded port")
        password = await self._decoded("forebay-nats-operator", "password")
        authority = await self._decoded("forebay-nats-ca", "ca.crt")
        self._client = await nats.connect(
            f"tls://localhost:{port}",
            user="operator",
            password=password,
            tls=ssl.create_default_context(cadata=authority),
            # What its user may hear, and nothing else.
            inbox_prefix=b"_INBOX_forebay_operator",
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._client.close()
        if self._forward.running:
            await self._forward.end(signal.SIGTERM, within=5)

    async def held(self, tenant: str) -> dict[str, int]:
        """Return how many messages of a tenant's namespace each stream holds."""
        found = {}
        for stream in STREAMS:
            answer = await self._ask(f"STREAM.INFO.FOREBAY_{stream}_0", {"subjects_filter": ">"})
            subjects = answer["state"].get("subjects") or {}
            mark = f".{tenant}."
            found[stream] = sum(count for name, count in subjects.items() if mark in name)
        return found

    async def replicas(self) -> dict[str, int]:
        """Return how many servers have all that each stream holds."""
        found = {}
        for stream in STREAMS:
            answer = await self._ask(f"STREAM.INFO.FOREBAY_{stream}_0", {})
            others = answer["cluster"].get("replicas") or ()
            current = [each for each in others if each["current"] and not each.get("offline")]
            found[stream] = 1 + len(current)
        return found

    async def behind(self, stream: str) -> int:
        """Return how many messages of RAW or EVENTS wait for a processor or are with one."""
        return sum(
            each.get("num_pending", 0) + each.get("num_ack_pending", 0)
            for each in await self._consumers(stream)
        )

    async def pause(self, stream: str, seconds: float) -> None:
        """Let no consumer of a stream hand anything out for a while; 0 ends that."""
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        body = {"pause_until": until} if seconds else {}
        for each in await self._consumers(stream):
            answer = await self._ask(f"CONSUMER.PAUSE.FOREBAY_{stream}_0.{each['name']}", body)
            assert answer["paused"] == bool(seconds), answer

    @contextlib.asynccontextmanager
    async def pausing(self) -> AsyncIterator[None]:
        """End all pauses with the block, also where a test fails in the middle of it."""
        try:
            yield
        finally:
            for stream in ("RAW", "EVENTS"):
                await self.pause(stream, 0)

    async def _consumers(self, stream: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        total = 1
        while len(found) < total:
            call = f"CONSUMER.LIST.FOREBAY_{stream}_0"
            answer = await self._ask(call, {"offset": len(found)})
            total = answer["total"]
            found += answer["consumers"] or []
        return found

    async def _ask(self, call: str, body: Mapping[str, object]) -> dict[str, Any]:
        text = json.dumps(body).encode()
        answer = await self._client.request(f"$JS.API.{call}", text, timeout=5)
        found: dict[str, Any] = json.loads(answer.data)
        assert "error" not in found, found
        return found

    async def _decoded(self, name: str, key: str) -> str:
        data = (await self._cluster.get("secret", name, self._namespace))["data"]
        return base64.b64decode(data[key]).decode()
