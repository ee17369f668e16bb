"""What a client says of itself when it logs in to a NATS server, and how it proves who it is."""

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import forebay
from forebay.runtime.settings import parse_credentials

__all__ = ["CLIENT_OPTIONS", "signed_credentials"]

CLIENT_OPTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "verbose": False,
        "pedantic": False,
        "lang": "python-forebay",
        "version": forebay.__version__,
        "protocol": 1,
        "echo": False,
        "headers": True,
        "no_responders": True,
    }
)
"""Of each CONNECT: what this client can do, and what it does not want to hear."""


def signed_credentials(text: str, nonce: str) -> dict[str, str]:
    """Return the options of a CONNECT that prove who we are: a JWT, and a server's nonce signed.

    Args:
        text: A JWT and a seed, as `nsc` writes them.
        nonce: What the server wants signed.

    Raises:
        ValueError: where they are none, or cannot be used.
    """
    # Late: only who has credentials pays for the cryptography behind it.
    import nkeys  # noqa: PLC0415

    jwt, seed = parse_credentials(text)
    try:
        signature = nkeys.from_seed(seed.encode()).sign(nonce.encode())
    except nkeys.NkeysError as error:
        message = "the seed cannot be used"
        raise ValueError(message) from error
    return {"jwt": jwt, "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}
