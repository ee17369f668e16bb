"""Which NATS a server belongs to, as far as it says: to recognise our own under another name."""

from typing import NamedTuple

__all__ = ["ServerIdentity"]


class ServerIdentity(NamedTuple):
    """What distinguishes a server and its cluster from others."""

    server_id: str
    """Of one start of one server."""

    cluster: str
    """The cluster's name; empty where it is in none."""

    cluster_addresses: frozenset[str]
    """`host:port` of the cluster's servers, as they announce themselves."""

    peer: str
    """`address:port` that the connection leads to."""

    def is_same(self, other: "ServerIdentity") -> bool:
        """Say whether both are one server, or servers of one cluster."""
        return (
            (self.server_id != "" and self.server_id == other.server_id)
            or (self.peer != "" and self.peer == other.peer)
            or (
                self.cluster != ""
                and self.cluster == other.cluster
                and not self.cluster_addresses.isdisjoint(other.cluster_addresses)
            )
        )
