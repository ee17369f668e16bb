"""Where `forebay run` takes secrets from: Secret manifests, or the environment.

The variable of key `app-secret` of Secret `crm` in the namespace `acme` is
FOREBAY_SECRET_ACME_CRM_APP_SECRET: in capitals, with `_` for every other character. It wins over a
manifest, so that an example's secret can be replaced by a real one without an edit. A variable that
two keys would be read from is refused, and so is one that was named without the namespace.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from typing_extensions import override

from forebay.core.errors import ConfigurationError

__all__ = ["ENVIRONMENT_PREFIX", "LocalSecrets", "SecretName", "variable_name"]

ENVIRONMENT_PREFIX = "FOREBAY_SECRET_"


class SecretName(NamedTuple):
    """Which Secret."""

    namespace: str
    name: str


def variable_name(namespace: str, secret: str, key: str) -> str:
    """Return the environment variable that can hold a key of a Secret."""
    return _variable(f"{namespace}_{secret}_{key}")


def _former_name(secret: str, key: str) -> str:
    """Return the variable that held a key before its name had the namespace."""
    return _variable(f"{secret}_{key}")


def _variable(words: str) -> str:
    return ENVIRONMENT_PREFIX + re.sub(r"[^A-Z0-9]", "_", words.upper())


class _Key(NamedTuple):
    """Which key of which Secret."""

    namespace: str
    secret: str
    key: str

    @override
    def __str__(self) -> str:
        """Return it as a message names it."""
        return f"key {self.key!r} of Secret {self.namespace}/{self.secret}"


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
        self._keys_of: dict[str, dict[_Key, None]] = {}
        """What was looked up, by its variable, in the order of the first time."""

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value; raises ConfigurationError where there is none."""
        variable = variable_name(namespace, name, key)
        self._keys_of.setdefault(variable, {})[_Key(namespace, name, key)] = None
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

    def misleading_variables(self) -> list[str]:
        """Return what is wrong with the variables of all that was looked up, one sentence each.

        A value would be another secret's, or stay that of a manifest, and nobody would notice.
        """
        sentences = []
        for variable, keys in self._keys_of.items():
            if variable in self._environment:
                if len(keys) > 1:
                    sentences.append(
                        f"{variable} would be read for {' and for '.join(map(str, keys))}: rename "
                        "one of them, or unset it and write both in Secret manifests"
                    )
                continue
            for key in keys:
                former = _former_name(key.secret, key.key)
                # It may be another key's variable of today.
                if former in self._environment and former not in self._keys_of:
                    sentences.append(
                        f"{former} is no longer read for {key}: rename it to {variable}, "
                        "or unset it"
                    )
        return sentences

    def variable(self, namespace: str, name: str, key: str) -> str | None:
        """Return the variable that a value comes from; None where a manifest holds it."""
        variable = variable_name(namespace, name, key)
        return variable if variable in self._environment else None
