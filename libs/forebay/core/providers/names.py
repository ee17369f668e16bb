"""The names of the providers, as manifests, tables and the command line have them.

For everybody; it imports nothing, so that the command line can show its help at once.
"""

from typing import Literal

__all__ = ["ProviderName", "SimulatedName"]

ProviderName = Literal["360dialog", "meta", "generic"]
"""Every provider, in the order of the CRD's enum. A name stands in stored tables: it stays."""

SimulatedName = Literal["meta", "360dialog"]
"""Those that the simulator can play; a test holds it to the registry."""
