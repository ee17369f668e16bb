"""The providers' webhook signatures: HMAC-SHA256 over the raw bytes of the body, in hex.

Meta sends `X-Hub-Signature-256: sha256=<hex>`; 360dialog's partner webhooks carry
`x-360dialog-signature` with or without the prefix. Source: the providers' webhook references.
"""

import hmac

from forebay.core.tables import Provider, SignatureCheck

__all__ = ["SIGNATURE_HEADERS", "SIGNATURE_PREFIX", "sign", "signature_check", "signature_holds"]

SIGNATURE_PREFIX = "sha256="

META_HEADER = "x-hub-signature-256"
DIALOG360_HEADER = "x-360dialog-signature"

SIGNATURE_HEADERS = (META_HEADER, DIALOG360_HEADER)
"""Headers that are stored with a webhook, so that a destination can check them again."""


def sign(secret: str, body: bytes) -> str:
    """Return the 64 hex digits of the body's HMAC-SHA256 under the secret."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def signature_check(provider: Provider, secrets: tuple[str, ...]) -> SignatureCheck:
    """Return the check that belongs to a provider; a generic one signs as Meta does."""
    if provider == "360dialog":
        return SignatureCheck(header=DIALOG360_HEADER, prefix="optional", secrets=secrets)
    return SignatureCheck(header=META_HEADER, prefix="required", secrets=secrets)


def signature_holds(check: SignatureCheck, given: str | None, body: bytes) -> bool:
    """Say whether the header's value is a signature of the body under any live secret.

    All secrets are tried and compared in constant time, so that the time taken tells nothing of
    which one failed, or where. A value of the wrong form is known to the sender: it fails at once.
    """
    if given is None:
        return False
    if given.startswith(SIGNATURE_PREFIX):
        given = given[len(SIGNATURE_PREFIX) :]
    elif check.prefix == "required":
        return False
    try:
        digest = bytes.fromhex(given)
    except ValueError:
        return False
    holds = False
    for secret in check.secrets:
        holds |= hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256"), digest)
    return holds
