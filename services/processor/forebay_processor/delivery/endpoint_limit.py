"""How many requests one endpoint may have under way in all, over its destinations.

Half of them are set aside in equal parts, one for each destination; the other half is for whoever
wants it. So a slow destination may take many places, and never those of its neighbours.
"""

from collections.abc import Callable

__all__ = ["EndpointLimit", "EndpointShare"]


class EndpointShare:
    """One destination's part in its endpoint's limit."""

    __slots__ = ("_endpoint_limit", "on_room", "taken")

    def __init__(self, endpoint_limit: "EndpointLimit", on_room: Callable[[], None]) -> None:
        self._endpoint_limit = endpoint_limit
        self.on_room = on_room
        """Called when another destination gave a place back."""

        self.taken = 0

    @property
    def has_room(self) -> bool:
        """Whether there is a place."""
        return self._endpoint_limit.has_room(self)

    @property
    def is_held_off(self) -> bool:
        """Whether that there is no place is no matter of a moment: it is one."""
        return False

    def take(self) -> None:
        """Take a place, which `has_room` has found."""
        self.taken += 1

    def give_back(self) -> None:
        """Give a place back; whoever waits for one is called."""
        self.taken -= 1
        self._endpoint_limit.room_came(self)

    def leave(self) -> None:
        """Give up the part and all places of it."""
        self.taken = 0
        self._endpoint_limit.left(self)


class EndpointLimit:
    """The places of one endpoint."""

    def __init__(self) -> None:
        self._limit = 0
        self._members = 0
        self._shares: list[EndpointShare] = []

    def configure(self, limit: int, members: int) -> None:
        """Set how many places there are, 0 for no limit, and for how many destinations."""
        if (limit, members) == (self._limit, self._members):
            return
        self._limit, self._members = limit, members
        for share in list(self._shares):
            share.on_room()

    def join(self, on_room: Callable[[], None]) -> EndpointShare:
        """Return the part of a destination."""
        share = EndpointShare(self, on_room)
        self._shares.append(share)
        return share

    def has_room(self, own: EndpointShare) -> bool:
        """Say whether a destination may take a place."""
        if not self._limit:
            return True
        left = self._limit - sum(share.taken for share in self._shares)
        part = self._limit // (2 * max(self._members, 1))
        if own.taken < part:
            return left > 0
        # What the others have not taken of their parts stays theirs.
        others = sum(min(share.taken, part) for share in self._shares if share is not own)
        return left > part * (self._members - 1) - others

    def room_came(self, giver: EndpointShare) -> None:
        """Call the others, each in its turn first; the giver calls its own by itself."""
        if not self._limit:
            return
        self._shares.append(self._shares.pop(0))
        for share in list(self._shares):
            if share is not giver:
                share.on_room()

    def left(self, share: EndpointShare) -> None:
        """Forget a part."""
        self._shares.remove(share)
        for other in list(self._shares):
            other.on_room()
