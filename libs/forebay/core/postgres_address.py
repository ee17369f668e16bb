"""Where a PostgreSQL is and who we are there, by the URL that people are given for it.

`postgresql://user:password@host:5432/database?sslmode=verify-full`, as libpq and most hosts of
databases write it; several hosts may stand there with commas. What libpq would take from files or
from the environment is not taken: the URL is a tenant's, the machine is not.

No message holds a part of the URL.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote

import msgspec

from forebay.core.errors import ConfigurationError

__all__ = ["PostgresAddress", "read_postgres_address"]

DEFAULT_PORT: Final = 5432
MOST_HOSTS: Final = 8
MOST_CHARACTERS: Final = 4096

_SCHEMES: Final = frozenset({"postgres", "postgresql"})
_HOST: Final = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](:(?P<port6>[0-9]{1,5}))?")
_NAME: Final = re.compile(
    r"(?P<name>[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9.])?)(:(?P<port>[0-9]{1,5}))?"
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_PARAMETERS: Final[Mapping[str, frozenset[str] | None]] = MappingProxyType(
    {
        "sslmode": frozenset(
            {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
        ),
        # Ours are better than any that can be said here, or say the same.
        "application_name": None,
        "channel_binding": None,
        "connect_timeout": None,
        "target_session_attrs": frozenset({"any", "read-write", "primary"}),
    }
)
"""What may stand behind `?`, and what it may be; the rest is refused, not passed over."""


class PostgresAddress(msgspec.Struct, frozen=True, kw_only=True):
    """What a URL says."""

    hosts: tuple[tuple[str, int], ...]
    """Names or addresses with their ports, in the order in which they are tried."""

    database: str
    user: str
    password: str = ""
    is_plain: bool = False
    """Whether there is to be no TLS: `sslmode=disable`. Every other mode, and none, is verified."""


def read_postgres_address(text: str) -> PostgresAddress:
    """Read a URL.

    Raises:
        ConfigurationError: where it is none that can be used; the message goes on after the words
            that name it.
    """
    scheme, found, rest = text.partition("://")
    if not found or scheme not in _SCHEMES or len(text) > MOST_CHARACTERS:
        message = (
            "is no URL of a PostgreSQL: write postgresql://user:password@host:5432/database, with "
            "special characters in it percent-encoded"
        )
        raise ConfigurationError(message)
    if "#" in rest:
        message = "holds a `#`, which ends a URL: write it as %23"
        raise ConfigurationError(message)
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    who, _, where = authority.rpartition("@")
    user, _, password = (unquote(part) for part in who.partition(":"))
    database = unquote(path) or user
    if not user:
        message = "names no user: write postgresql://user:password@host:5432/database"
        raise ConfigurationError(message)
    if any(_CONTROL.search(part) for part in (user, password, database)):
        message = "holds a control character: write it anew"
        raise ConfigurationError(message)
    hosts = tuple(_host(part) for part in where.split(","))
    if len(hosts) > MOST_HOSTS:
        message = f"names more than {MOST_HOSTS} hosts: name fewer"
        raise ConfigurationError(message)
    return PostgresAddress(
        hosts=hosts,
        database=database,
        user=user,
        password=password,
        is_plain=_parameters(query).get("sslmode") == "disable",
    )


def _host(text: str) -> tuple[str, int]:
    found = _HOST.fullmatch(text)
    if found is not None:
        host, port = found["v6"], found["port6"]
    elif (named := _NAME.fullmatch(text)) is not None:
        host, port = named["name"], named["port"]
    else:
        message = (
            "has no host that can be connected to: give a name or an address, no socket's folder, "
            "and percent-encode what is special in the password"
        )
        raise ConfigurationError(message)
    number = DEFAULT_PORT if port is None else int(port)
    if not 0 < number < 1 << 16:
        message = "has a port that is none: use 1 to 65535"
        raise ConfigurationError(message)
    return host.lower(), number


def _parameters(query: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name, value in given.items():
        allowed = _PARAMETERS.get(name)
        if name not in _PARAMETERS:
            message = (
                "has a parameter behind `?` that is not taken: only sslmode is; certificates go "
                "into `tls`, the schema into `schemaName`"
            )
            raise ConfigurationError(message)
        if allowed is not None and value not in allowed:
            message = f"has a {name} that is not taken: use one of {', '.join(sorted(allowed))}"
            raise ConfigurationError(message)
    return given
