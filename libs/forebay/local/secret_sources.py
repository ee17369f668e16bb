"""Where `forebay run` takes secrets from: Secret manifests, or the environment.

The variable of key `app-secret` of Secret `crm` in the namespace `acme` is
FOREBAY_SECRET_ACME_CRM_APP_SECRET: in capitals, with `_` for every other character. It wins over a
manifest, so that an example's secret can be replaced by a real one without an edit.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from forebay.core.errors import ConfigurationError

__all__ = ["ENVIRONMENT_PREFIX", "LocalSecrets", "SecretName", "variable_name"]

ENVIRONMENT_PREFIX = "FOREBAY_SECRET_"


class SecretName(NamedTuple):
    """Which Secret."""

    namespace: str
    name: str


def variable_name(namespace: str, secret: str, key: str) -> str:
    """Return the environment variable that can hold a key of a Secret."""
    return ENVIRONMENT_PREFIX + re.sub(r"[^A-Z0-9]", "_", f"{namespace}_{secret}_{key}".upper())


class LocalSecrets:
    """Looks up the keys of Secrets."""

    def __init__(
        self,
        manifests: Mapping[SecretName, Mapping[str, str]],
        environment: Mapping[str, str],
    ) -> None:
        """Keep where the values are: Secret manifests by name, and the environment."""
        self._manifests = manifests
        self._environment = environment

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value; raises ConfigurationError where there is none."""
        variable = variable_name(namespace, name, key)
        if variable in self._environment:
            return self._environment[variable]
        values = self._manifests.get(SecretName(namespace, name))
        if values is None:
            message = (
                f"there is no Secret {name!r} in namespace {namespace!r} with key {key!r}: "
                f"add it to the manifests, or set {variable}"
            )
            raise ConfigurationError(message)
        if key not in values:
            message = f"Secret {name!r} has no key {key!r}: add it, or set {variable}"
            raise ConfigurationError(message)
        return values[key]

    def variable(self, namespace: str, name: str, key: str) -> str | None:
        """Return the variable that a value comes from; None where a manifest holds it."""
        variable = variable_name(namespace, name, key)
        return variable if variable in self._environment else None
