"""Which providers there are, by name. Whoever has to know anything of a provider asks here.

There is no provider for an unknown name: the types refuse one here, and manifests and tables refuse
it where they are read, so that no webhook is ever checked or cut by a guess.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, assert_never, get_args

from forebay.core.providers.dialog360 import DIALOG360
from forebay.core.providers.generic import GENERIC
from forebay.core.providers.meta import META
from forebay.core.providers.names import ProviderName
from forebay.core.providers.provider import Provider

__all__ = ["PROVIDERS", "names_with_ids_in_headers", "provider_of"]


def provider_of(name: ProviderName) -> Provider:
    """Return the provider of a name."""
    match name:
        case "360dialog":
            return DIALOG360
        case "meta":
            return META
        case "generic":
            return GENERIC
        case _:
            assert_never(name)


PROVIDERS: Final[Mapping[ProviderName, Provider]] = MappingProxyType(
    {name: provider_of(name) for name in get_args(ProviderName)}
)
"""All of them."""


def names_with_ids_in_headers() -> tuple[ProviderName, ...]:
    """Return the providers whose events have their ids in headers: see `EventIds`."""
    return tuple(name for name, each in PROVIDERS.items() if each.event_ids == "headers")
