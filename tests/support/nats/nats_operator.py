"""A NATS in operator mode: users prove who they are by a JWT and a signature, as `nsc` sets up.

Everything is made here, in memory: an operator, a system account, an account with JetStream, users.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nkeys

__all__ = ["NatsOperator"]

_UNLIMITED = dict.fromkeys(
    (
        *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
        *("mem_storage", "disk_storage", "streams", "consumer"),
    ),
    -1,
)

_CREDENTIALS = """\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


class NatsOperator:
    """Signs accounts and users, and configures a server that trusts it."""

    def __init__(self) -> None:
        """Make the operator, its system account, and the account that Forebay uses."""
        self._operator = _new_pair(nkeys.PREFIX_BYTE_OPERATOR)
        self._system = _new_pair(nkeys.PREFIX_BYTE_ACCOUNT)
        self._account = _new_pair(nkeys.PREFIX_BYTE_ACCOUNT)

    @property
    def config(self) -> str:
        """Lines for the server's configuration."""
        operator, system, account = map(_name, (self._operator, self._system, self._account))
        trust = _jwt(self._operator, operator, {"type": "operator", "system_account": system})
        accounts = {
            system: _jwt(self._operator, system, {"type": "account", "limits": {}}),
            account: _jwt(self._operator, account, {"type": "account", "limits": _UNLIMITED}),
        }
        preload = "\n".join(f"{name}: {jwt}" for name, jwt in accounts.items())
        return (
            f"operator: {trust}\nsystem_account: {system}\nresolver: MEMORY\n"
            f"resolver_preload: {{\n{preload}\n}}\n"
        )

    def credentials(self, file: Path, **permissions: Any) -> Path:  # noqa: ANN401  # JSON
        """Write a user's credentials into a file, as `nsc` does; `pub` and `sub` restrict it."""
        user = _new_pair(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "subs": -1, "data": -1, "payload": -1, **permissions}
        jwt = _jwt(self._account, _name(user), claims)
        file.write_text(_CREDENTIALS.format(jwt=jwt, seed=user.seed.decode()))
        return file


def _new_pair(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _name(pair: nkeys.KeyPair) -> str:
    return str(pair.public_key.decode())


def _jwt(issuer: nkeys.KeyPair, subject: str, claims: Mapping[str, Any]) -> str:
    body = {
        "iat": int(time.time()),
        "iss": _name(issuer),
        "name": "forebay-test",
        "sub": subject,
        "nats": {**claims, "version": 2},
    }
    # The id is a hash of the rest, as the server's own library makes it.
    digest = hashlib.new("sha512_256", json.dumps(body).encode()).digest()
    body["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    text = f"{_encode({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encode(body)}"
    signature = base64.urlsafe_b64encode(issuer.sign(text.encode())).rstrip(b"=").decode()
    return f"{text}.{signature}"


def _encode(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
