"""Which kinds the API server serves, as it says itself at `/apis`: where kopf reads it, too.

lightkube has no call for it, so it is asked with a client of its own, made as lightkube makes one.
Any account may ask: Kubernetes binds `system:discovery` to all of them.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import httpx2
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import SingleConfig

from forebay_operator.errors import ApiUnavailable, ApiUnreachable
from forebay_operator.models.kinds import ManagedKind

__all__ = ["Discovery", "no_answer"]

_NOT_FOUND: Final = 404


def no_answer(text: str, error: Exception) -> ApiUnavailable:
    """Return what it means that there was no answer that counts.

    Args:
        text: What did not come.
        error: The client's, whose kind is reported, and not its words.
    """
    is_connected = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
    kind = ApiUnavailable if is_connected else ApiUnreachable
    return kind(f"{text} ({type(error).__name__})")


class Discovery:
    """Asks one API server."""

    def __init__(self, config: Callable[[], SingleConfig], seconds: float) -> None:
        """Prepare.

        Args:
            config: Gives the API server's address and our credentials, at the first question.
            seconds: For one request.
        """
        self._config = config
        self._timeout = httpx2.Timeout(seconds)
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def served(self, kinds: Iterable[ManagedKind]) -> frozenset[ManagedKind]:
        """Return those that are served, in the version that we speak.

        Raises:
            ApiUnavailable: where the API server does not say.
        """
        wanted: dict[str, list[ManagedKind]] = {}
        for kind in kinds:
            wanted.setdefault(f"{kind.group}/{kind.version}", []).append(kind)
        found: set[ManagedKind] = set()
        for group_version in wanted.keys() & await self._group_versions():
            plurals = await self._plurals(group_version)
            found |= {kind for kind in wanted[group_version] if kind.plural in plurals}
        return frozenset(found)

    async def _group_versions(self) -> set[str]:
        answer = await self._get("/apis")
        return {
            str(version["groupVersion"])
            for group in answer.get("groups") or ()
            for version in group.get("versions") or ()
        }

    async def _plurals(self, group_version: str) -> set[str]:
        answer = await self._get(f"/apis/{group_version}")
        return {str(each["name"]) for each in answer.get("resources") or ()}

    async def _get(self, path: str) -> dict[str, Any]:
        """Return an answer; an empty one for what is not there (any more)."""
        if self._client is None:
            self._client = AsyncClient(self._config(), ConnectionParams(timeout=self._timeout))
        try:
            response = await self._client.get(path, headers={"Accept": "application/json"})
            if response.status_code == _NOT_FOUND:
                return {}
            answer: dict[str, Any] = response.raise_for_status().json()
        except (httpx2.HTTPError, OSError, ValueError) as error:
            text = f"discovery: the API server did not answer {path}"
            raise no_answer(text, error) from error
        return answer
