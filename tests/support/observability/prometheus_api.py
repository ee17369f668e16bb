"""What a Prometheus says of itself, of its rules and of queries, over its HTTP API."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

__all__ = ["ASK_SECONDS", "PrometheusApi", "Samples"]

ASK_SECONDS: Final = 20.0

Samples = list[dict[str, Any]]
"""Series with their values, as Prometheus' API returns them."""


class PrometheusApi:
    """A Prometheus that runs somewhere; `open` comes before the first question."""

    def __init__(self, url: str) -> None:
        """Say where it answers, such as `http://127.0.0.1:9090`."""
        self.url = url
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Prepare for questions."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS))

    async def close(self) -> None:
        """Ask nothing any more."""
        if self._session is not None:
            await self._session.close()

    async def query(self, expr: str, *, at: float | None = None) -> Samples:
        """Return what a query says of an instant; an error of Prometheus fails the test."""
        asked = {"query": expr} | ({} if at is None else {"time": str(at)})
        data = await self._ask("query", asked)
        assert data["resultType"] == "vector", expr
        found: Samples = data["result"]
        return found

    async def query_range(self, expr: str, *, since: float, to: float, step: float) -> Samples:
        """Return what a query says of each step in a range of seconds since 1970."""
        asked = {"query": expr, "start": str(since), "end": str(to), "step": str(step)}
        found: Samples = (await self._ask("query_range", asked))["result"]
        return found

    async def rules(self) -> Samples:
        """Return every rule as Prometheus has it, with its health, last error and `interval`."""
        groups = (await self._ask("rules", {}))["groups"]
        return [
            {**rule, "interval": group["interval"]} for group in groups for rule in group["rules"]
        ]

    async def targets(self) -> Samples:
        """Return what it scrapes."""
        found: Samples = (await self._ask("targets", {}))["activeTargets"]
        return found

    async def is_ready(self) -> bool:
        """Say whether it answers."""
        assert self._session is not None, "not opened"
        try:
            async with self._session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _ask(self, what: str, asked: Mapping[str, str]) -> dict[str, Any]:
        assert self._session is not None, "not opened"
        async with (
            self._session.post(f"{self.url}/api/v1/{what}", data=asked)
            if asked
            else (self._session.get(f"{self.url}/api/v1/{what}")) as answer
        ):
            body = await answer.json()
        assert body["status"] == "success", f"{asked}: {body}"
        data: dict[str, Any] = body["data"]
        return data
