"""Settings that several parts read, each from the environment: name, unit, default and why.

Settings are read once at the start and never change. A value that cannot be used stops the start
with one sentence that names the variable.
"""

import ssl
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from forebay.core.errors import ConfigurationError
from forebay.core.validation_errors import advice

__all__ = [
    "AnySettings",
    "LogSettings",
    "NatsSettings",
    "NatsUser",
    "PartSettings",
    "load_settings",
    "parse_credentials",
    "read_credentials",
]


NatsUser = Literal["receiver", "processor", "operator", "api"]
"""Who logs in to NATS: each part is a user of its own, and the command is one of them."""

_TOKENS: Final = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"


class NatsSettings(BaseSettings):
    """How to reach NATS."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_NATS_", frozen=True)

    url: Annotated[str, Field(pattern=r"^(nats|tls)://\S+$")] = "nats://127.0.0.1:4222"
    """One or several servers of a cluster, separated by commas."""

    user: str | None = None
    """Name to log in with; none where the servers ask for none."""

    password: SecretStr | None = None
    """The user's password; in no log and no message."""

    credentials: FilePath | None = None
    """A file with a JWT and a seed, as `nsc` writes it; instead of user and password."""

    @field_validator("credentials")
    @classmethod
    def _holds_credentials(cls, file: Path | None) -> Path | None:
        if file is not None:
            try:
                read_credentials(file)
            except OSError as error:
                message = "the file cannot be read"
                raise ValueError(message) from error
        return file

    inbox_prefix: Annotated[str, Field(pattern=_TOKENS)] | None = None
    """Where NATS' answers come in. By default a prefix for each part, `_INBOX_forebay_receiver`,
    `_INBOX_forebay_processor` and so on: who may subscribe to its own only cannot read
    what the others are sent."""

    tls_ca: FilePath | None = None
    """The certificate authority of the servers; without it the system's, for tls:// URLs."""

    @property
    def urls(self) -> tuple[str, ...]:
        """The servers, one by one."""
        return tuple(part.strip() for part in self.url.split(",") if part.strip())

    @property
    def inbox(self) -> str:
        """The prefix of all inboxes: that of the settings, or of the part, or NATS' own."""
        return self.inbox_prefix or "_INBOX"

    def of_part(self, part: NatsUser) -> Self:
        """Return the settings of a part: with its own inbox, unless another was set."""
        if self.inbox_prefix is not None:
            return self
        return self.model_copy(update={"inbox_prefix": f"_INBOX_forebay_{part}"})

    def tls_context(self) -> ssl.SSLContext:
        """Return what verifies the servers: our authority's certificate, or the system's."""
        cafile = None if self.tls_ca is None else str(self.tls_ca)
        return ssl.create_default_context(cafile=cafile)


def read_credentials(file: Path) -> tuple[str, str]:
    """Return the JWT and the seed of a file as `nsc` writes it: each between two lines of dashes.

    Raises:
        OSError: where it cannot be read.
        ValueError: where it holds none.
    """
    return parse_credentials(file.read_text())


def parse_credentials(text: str) -> tuple[str, str]:
    """Return the JWT and the seed of what `nsc` writes; raises ValueError where it holds none."""
    lines = [line.strip() for line in text.splitlines()]
    jwt = next((line for line in lines if line.startswith("ey")), None)
    seed = next((line for line in lines if line.startswith("SU")), None)
    if jwt is None or seed is None:
        message = "the file holds no JWT and seed of a user: make it with `nsc generate creds`"
        raise ValueError(message)
    return jwt, seed


class LogSettings(BaseSettings):
    """What to log, and how."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_LOG_", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged; `debug` includes every probe that fails."""

    format: Literal["json", "console"] = "json"
    """`json` for log collectors, one object a line; `console` for eyes."""


class PartSettings(BaseSettings):
    """What receivers and processors have in common."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_", frozen=True)

    table_dir: Path
    """The folder with the part's table files (`*.json`); no default: a part without a table would
    answer 404 to every webhook."""

    shards: Annotated[tuple[str, ...], NoDecode, Field(min_length=1)] = ("0",)
    """The shards that this process works on, separated by commas."""

    table_poll_seconds: Annotated[float, Field(gt=0)] = 0.5
    """Between two checks of the table files: a change is in force within this time and the time to
    read it, less than the promised 2 s."""

    @field_validator("shards", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load_settings(kind: type[AnySettings]) -> AnySettings:
    """Read settings from the environment.

    Raises:
        ConfigurationError: naming the variable and what is wrong with it, never its value.
    """
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config.get("env_prefix", "")
        first = error.errors(include_url=False, include_input=False)[0]
        if not first["loc"]:
            # Two settings that do not fit together: the message names them.
            message = f"the settings cannot be used: {first['msg'].removeprefix('Value error, ')}"
            raise ConfigurationError(message) from error
        variable = prefix + "_".join(str(part) for part in first["loc"]).upper()
        if first["type"] == "missing":
            message = f"the setting {variable} is missing: give it as an environment variable"
            raise ConfigurationError(message) from error
        message = f"the setting {variable} cannot be used: {advice(first)}"
        raise ConfigurationError(message) from error
