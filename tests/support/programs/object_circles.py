"""Finds circles of references between living objects: what of ours holds what, and is held by it.

The collector knows every reference that there is: attributes, slots, items of containers, what a
bound method is bound to, and what a closure holds. Modules and classes are left out, since all
refer to them; so are loops, tasks and frames, which hold what runs at the moment.
"""

import asyncio
import gc
import types
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["references_in_circles", "room_of"]

NOT_FOLLOWED: Final = (
    type,
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.CoroutineType,
    types.GeneratorType,
    types.AsyncGeneratorType,
    types.BuiltinFunctionType,
    asyncio.AbstractEventLoop,
    asyncio.Future,
    asyncio.Handle,
)


def room_of(thing: object) -> str:
    """Return where an object's class is declared: a package of a part, such as `delivery`.

    A module at the top of a part is a room by its own name. What is no part's has no room ("").
    """
    package, _, rest = type(thing).__module__.partition(".")
    if package not in {"forebay_receiver", "forebay_processor", "forebay_operator"}:
        return ""
    return rest.partition(".")[0]


def references_in_circles(*roots: object) -> set[tuple[str, str]]:
    """Return who holds whom in another room, where what is held leads back to who holds it.

    Args:
        roots: What to begin at: all that can be reached from there is searched.

    Returns:
        Pairs of classes with their rooms, such as `("shared.Endpoints", "delivery.Queues")`. One
        holds the other itself, or by something that is nobody's: a list, a method, a closure.
    """
    found = set()
    for circle in _circles(roots):
        members = {id(each) for each in circle}
        for each in circle:
            if room_of(each):
                found |= {
                    (_name(each), _name(held))
                    for held in _ours_held_by(each, members)
                    if room_of(held) != room_of(each)
                }
    return found


def _name(thing: object) -> str:
    return f"{room_of(thing)}.{type(thing).__name__}"


def _ours_held_by(holder: object, members: set[int]) -> list[object]:
    """Return the parts' objects that one holds without another of theirs between them."""
    found, seen, left = [], {id(holder)}, _held_by(holder)
    while left:
        held = left.pop()
        if id(held) in seen or id(held) not in members:
            continue
        seen.add(id(held))
        if room_of(held):
            found.append(held)
        else:
            left += _held_by(held)
    return found


def _held_by(thing: object) -> list[object]:
    """Return what an object refers to; a function refers to what its closure holds."""
    if isinstance(thing, types.FunctionType):
        return [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
    return [each for each in gc.get_referents(thing) if not isinstance(each, NOT_FOLLOWED)]


class _Search:
    """Tarjan's algorithm without recursion: objects in the order in which they were found."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}
        self._lowest: dict[int, int] = {}
        self._open: dict[int, object] = {}
        """What may still be in a circle with what is found later, the latest last."""

        self._path: list[tuple[object, Iterator[object]]] = []

    def circles(self, root: object) -> Iterator[list[object]]:
        """Yield the circles that can be reached from here and were not found before."""
        if id(root) not in self._index:
            self._enter(root)
        while self._path:
            thing, rest = self._path[-1]
            if self._goes_deeper(thing, rest):
                continue
            self._path.pop()
            if self._path:
                self._reaches(self._path[-1][0], self._lowest[id(thing)])
            if self._lowest[id(thing)] == self._index[id(thing)]:
                circle = self._closed_by(thing)
                if len(circle) > 1:
                    yield circle

    def _enter(self, thing: object) -> None:
        self._index[id(thing)] = self._lowest[id(thing)] = len(self._index)
        self._open[id(thing)] = thing
        self._path.append((thing, iter(_held_by(thing))))

    def _reaches(self, thing: object, index: int) -> None:
        self._lowest[id(thing)] = min(self._lowest[id(thing)], index)

    def _goes_deeper(self, thing: object, rest: Iterator[object]) -> bool:
        for held in rest:
            if id(held) not in self._index:
                self._enter(held)
                return True
            if id(held) in self._open:
                self._reaches(thing, self._index[id(held)])
        return False

    def _closed_by(self, thing: object) -> list[object]:
        circle: list[object] = []
        while not circle or circle[-1] is not thing:
            circle.append(self._open.popitem()[1])
        return circle


def _circles(roots: Iterable[object]) -> Iterator[list[object]]:
    search = _Search()
    for root in roots:
        yield from search.circles(root)
