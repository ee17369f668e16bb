"""`ApiHarness`: the HTTP API as a process, seen by who has tokens; answers as OpenAPI has them."""

import functools
import json
import secrets
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import jsonschema_rs
import msgspec

from forebay.core.api_tokens import TOKEN_BYTES, ApiScope, ApiToken, new_token
from support.docs.api_document import document
from support.programs.processes import Part
from support.receiver.raw_http import exchange, request_bytes

__all__ = ["EVERYTHING", "ApiAnswer", "ApiHarness"]

EVERYTHING: Final = tuple(each for each in ApiScope if each is not ApiScope.REVEAL)
"""All scopes but that of what is private."""


class ApiAnswer(NamedTuple):
    """What came."""

    status: int
    headers: dict[str, str]
    record: dict[str, Any]
    text: str


class ApiHarness:
    """An API over a NATS, with tokens of a test's own."""

    def __init__(self, folder: Path, nats_url: str, **settings: str) -> None:
        """Prepare; settings are those of the API."""
        self.token_dir = folder / "tokens"
        self.token_dir.mkdir(parents=True)
        self.part = Part(
            "api",
            folder=folder,
            nats_url=nats_url,
            table_dir=folder,
            settings={
                "FOREBAY_API_TOKEN_DIR": str(self.token_dir),
                "FOREBAY_API_TOKEN_POLL_SECONDS": "0.05",
                **settings,
            },
        )

    def write_token(
        self,
        *scopes: ApiScope,
        namespaces: tuple[str, ...] = ("demo",),
        name: str | None = None,
        **fields: Any,  # noqa: ANN401  # of the entry
    ) -> str:
        """Put a token's entry into the folder, and return the token."""
        text, digest = new_token(secrets.token_bytes(TOKEN_BYTES))
        own = name or f"t{digest[:12]}"
        entry = ApiToken(
            name=own, sha256=digest, namespaces=namespaces, scopes=scopes or EVERYTHING, **fields
        )
        (self.token_dir / f"{own}.json").write_bytes(msgspec.json.encode(entry))
        return text

    async def get(self, path: str, token: str | None, **query: object) -> ApiAnswer:
        """Ask; a 200 has to be what the document says of the path."""
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Connection": "close"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        request = request_bytes("GET", url, headers=headers)
        response = await exchange(self.part.port, request)
        text = response.body.decode()
        record = json.loads(text)
        validator(path, response.status).validate(record)
        return ApiAnswer(response.status, dict(response.headers), record, text)


@functools.cache
def validator(path: str, status: int) -> Any:  # noqa: ANN401  # of a library without types
    """Return what judges an answer by the OpenAPI document."""
    whole = document()
    known = path if path in whole["paths"] else "/v1/webhooks/{shard}/{sequence}"
    schema = whole["paths"][known]["get"]["responses"][str(status)]["content"]
    return jsonschema_rs.Draft202012Validator(
        {**schema["application/json"]["schema"], "components": whole["components"]}
    )
