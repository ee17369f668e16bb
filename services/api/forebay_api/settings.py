"""The API's settings: `FOREBAY_API_*`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["ApiSettings", "ApiShards"]

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Host = Annotated[str, Field(min_length=1)]


class ApiSettings(BaseSettings):
    """How the API serves."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_API_", frozen=True)

    host: Host = "::"
    """Where requests come in: an address of this machine, or `::` for all of them."""

    port: Port = 8080
    """TCP port for requests; 0 for any that is free."""

    admin_host: Host = "::"
    """Where probes and metrics are served, to the kubelet and Prometheus."""

    admin_port: Port = 9090
    """TCP port for probes and metrics; 0 for any that is free."""

    token_dir: Path
    """The folder with the tokens' entries, a file `<name>.json` each; no default: without tokens
    every request is answered 401."""

    token_poll_seconds: Seconds = 2.0
    """Between two checks of that folder: a token that was taken back is none after this time and
    the kubelet's own, which is a minute or so."""

    request_seconds: Seconds = 20.0
    """For a request: what takes longer is answered 504. Less than the 30 s after which gateways
    give up."""

    requests_per_token: Positive = 2
    """Requests of one token at one time; a further one is answered 429."""

    requests: Positive = 6
    """Requests of all tokens at one time; a further one is answered 503. Each may hold some 70 MB:
    20,000 rows, and a page of a stream."""


class ApiShards(BaseSettings):
    """What the API reads."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True)

    shards: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = ("0",)
    """The shards that are read, separated by commas."""

    @field_validator("shards", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
