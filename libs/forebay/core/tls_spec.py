"""How a manifest wants TLS with a destination."""

from typing import Self

from pydantic import model_validator

from forebay.core.field_types import ServerName
from forebay.core.spec_base import ResourceRecord, SecretSource

__all__ = ["TlsSpec"]


class TlsSpec(ResourceRecord):
    """What is to be different from the system's way with a destination."""

    ca: SecretSource | None = None
    """Certificates in PEM that the destination's is checked against, instead of the system's."""

    certificate: SecretSource | None = None
    """Ours, in PEM, with those between it and its authority; shown to who asks for one."""

    key: SecretSource | None = None
    """The certificate's private key in PEM, without a password."""

    server_name: ServerName | None = None
    """The name that the destination's certificate has to have, where it is not the URL's."""

    insecure_skip_verify: bool = False
    """Take any certificate: whoever stands in between can read and answer. Set explicitly."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            message = "`certificate` and `key` belong together: give both or none"
            raise ValueError(message)
        if self.insecure_skip_verify and (self.ca is not None or self.server_name is not None):
            message = (
                "`insecureSkipVerify` checks nothing, so `ca` and `serverName` have no use: "
                "remove it, or remove them"
            )
            raise ValueError(message)
        return self
