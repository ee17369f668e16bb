"""Names of endpoints and destinations: DNS labels, so that they fit subjects, URLs and objects."""

import re
from typing import NamedTuple

from typing_extensions import override

__all__ = ["NAME_LIMIT", "EndpointName", "is_dns_label"]

NAME_LIMIT = 50
"""Characters of an endpoint's or destination's name: leaves room for a suffix within the 63
characters that Kubernetes allows a label."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def is_dns_label(text: str, limit: int = 63) -> bool:
    """Say whether the text is a DNS label (RFC 1123) of at most `limit` characters."""
    return len(text) <= limit and _LABEL.fullmatch(text) is not None


class EndpointName(NamedTuple):
    """Which endpoint: its namespace and its name, both DNS labels."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        """Return the form that headers, logs and tables use: `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> "EndpointName":
        """Read `namespace/name`; raises ValueError for any other form."""
        namespace, separator, name = text.partition("/")
        if not separator or not is_dns_label(namespace) or not is_dns_label(name, NAME_LIMIT):
            message = f"{text!r} is not of the form namespace/name"
            raise ValueError(message)
        return cls(namespace, name)
