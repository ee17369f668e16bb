"""Where an endpoint's webhooks go, and which processors may work them: also while it is moved.

Streams of its own, or the installation's: a spec may change its mind (docs/design/0042). All of a
move follows from what stands in the tables and in the streams, so whoever looks next goes on with
it, wherever the one before died:

| the route says | the processors of that shard | then |
| --- | --- | --- |
| nothing: it is new | | they get the endpoint, and the route says the shard that is wanted |
| the other shard | must not have the endpoint: they lose it | once that is read it is changed |
| the shard | do not have the endpoint yet | they get it once nobody stores in the other shard any \
more, and all there is delivered or parked; what is parked there holds its destination here |
| the shard | have it | destinations are let go one by one |

A shard whose processors do not have the endpoint is *closed*: what is stored there waits, in order.
What has begun is finished before anything else is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import WebhookEndpoint
from forebay.core.subjects import dedicated_shard
from forebay.core.tables import OtherStreams, ProcessorEndpoint
from forebay_operator.adapters.shard_contents import ShardContents
from forebay_operator.builders.names import endpoint_selector, processor_selector
from forebay_operator.builders.tables import DEDICATED_FILE, DEDICATED_PROCESSORS_FILE
from forebay_operator.errors import StreamsRefused, StreamsUnavailable
from forebay_operator.services.own_tables import OwnTables
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import OperatorConfig

__all__ = ["Placement", "ShardMoves"]

_log = structlog.get_logger(__name__)

SETTLE_SECONDS: Final = 5.0
"""After the last receiver took the new route: twice the budget of a webhook, so that what was on
its way into the other streams has been stored there, or was answered 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an endpoint is to be."""

    endpoint: EndpointName
    shard: str
    """Where receivers are to store."""

    entries: Mapping[str, ProcessorEndpoint]
    """By shard, what its processors are to know. Of a shard that is not in it they know nothing."""

    has_own: bool = False
    """Whether there are, or are to be, streams of its own."""

    has_pods: bool = False
    """Whether its own processors have anything to do."""

    is_held_back: bool = False
    """Whether no receiver may know it yet, for there are no streams to store in."""

    is_waiting: bool = False
    """Whether what comes now is stored and waits."""

    message: str = ""
    """What a move waits for; empty where nothing is to be moved any more."""

    held: tuple[str, ...] = ()
    """Destinations that wait for what the other shard still has for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoint:
    """What is known of one before NATS is asked."""

    manifest: WebhookEndpoint
    processing: ProcessorEndpoint
    standing: Mapping[str, ProcessorEndpoint]
    """What its shards' tables say of it."""

    target: str
    other: str

    @property
    def name(self) -> EndpointName:
        return self.manifest.endpoint

    def entry(
        self, shard: str, claims: tuple[str, ...] = (), held: tuple[str, ...] = ()
    ) -> ProcessorEndpoint:
        """Return what a shard's processors are to know."""
        others = OtherStreams(shards=claims, held=held) if claims else msgspec.UNSET
        return msgspec.structs.replace(self.processing, shard=shard, others=others)

    def as_it_is(self, shard: str) -> dict[str, ProcessorEndpoint]:
        """Return what they are to know where nothing about other shards is to change."""
        standing = self.standing.get(shard)
        if standing is None:
            return {}
        return {
            shard: msgspec.structs.replace(self.processing, shard=shard, others=standing.others)
        }

    def left(self) -> dict[str, ProcessorEndpoint]:
        """Return what is open while the target is closed."""
        # Also where that table was lost: what is stored there is to be worked.
        return self.as_it_is(self.other) or {self.other: self.entry(self.other, (self.target,))}


class ShardMoves:
    """Decides, one step at a time."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        config: OperatorConfig,
        tables: RouteTables,
        own_tables: OwnTables,
        pools: Pools,
        shards: Shards,
        contents: ShardContents,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            config: The settings.
            tables: Those of the shared pods.
            own_tables: Those of endpoints' own pods.
            pools: Which pods there are, and what they have read.
            shards: Which streams there are.
            contents: What they hold.
            clock: Seconds that never go back, as the event loop's.
        """
        self._config = config
        self._tables = tables
        self._own_tables = own_tables
        self._pools = pools
        self._shards = shards
        self._contents = contents
        self._clock = clock
        self._arrived_at: dict[EndpointName, float] = {}
        """Since when every receiver has the route, while a move waits for that."""

    def has_own(self, name: EndpointName) -> bool:
        """Say whether anything was made for streams of an endpoint's own."""
        return self._own_tables.processors(name).is_there

    def forget(self, name: EndpointName) -> None:
        """Take it that an endpoint is gone."""
        self._arrived_at.pop(name, None)
        self._shards.release(dedicated_shard(name))

    async def place(self, manifest: WebhookEndpoint, processing: ProcessorEndpoint) -> Placement:
        """Return where an endpoint is to be now.

        Args:
            manifest: What is wanted.
            processing: What processors are to know of it, whichever shard they work.
        """
        name = manifest.endpoint
        own, home = dedicated_shard(name), manifest.spec.processing.shard
        wanted = own if manifest.spec.processing.isolation == "Dedicated" else home
        there, table = self._own_tables.processors(name)
        if wanted == home and not there:
            return Placement(endpoint=name, shard=home, entries={home: processing})
        standing = {each.shard: each for each in table.endpoints} if table is not None else {}
        shared = self._tables.entry(name)
        if shared is not None:
            standing[home] = shared
        written = self._written(name)
        target = self._target(wanted, written, standing)
        about = _Endpoint(
            manifest=manifest,
            processing=processing,
            standing=standing,
            target=target,
            other=home if target == own else own,
        )
        # Never refused here: it was taken when the endpoint was accepted, or by who made the table.
        self._shards.require(own)
        try:
            found = await self._step(about, written)
            if found.message or target != home:
                return found
            return await self._retired(about, found)
        except (StreamsUnavailable, StreamsRefused) as error:
            # Nothing is known of the streams, so nothing is changed.
            return self._unchanged(about, written, str(error))

    @staticmethod
    def _target(
        wanted: str, written: frozenset[str], standing: Mapping[str, ProcessorEndpoint]
    ) -> str:
        """Return where the endpoint is on its way to: what has begun is finished first."""
        for shard in sorted(written):
            entry = standing.get(shard)
            if entry is None or (isinstance(entry.others, OtherStreams) and entry.others.held):
                return shard
        return wanted

    def _written(self, name: EndpointName) -> frozenset[str]:
        """Return the shards that receivers were told to store in; several in the middle of that."""
        shared, own = self._tables.route(name), self._own_tables.receivers(name)
        routes = [shared] if shared is not None else []
        routes += [each for each in (own.routes if own else ()) if each.endpoint == name]
        return frozenset(each.shard for each in routes)

    async def _step(self, about: _Endpoint, written: frozenset[str]) -> Placement:
        if not written:
            return await self._first(about)
        if written != {about.target}:
            return await self._switch(about)
        if about.target in about.standing:
            return await self._opened(about)
        return await self._switched(about)

    # --- the steps

    async def _first(self, about: _Endpoint) -> Placement:
        """Begin with one that no receiver knows."""
        trouble = self._shards.state(about.target).reason is not None
        found = await self._opened(about)
        own = dedicated_shard(about.name)
        return replace(found, is_held_back=trouble and about.target == own)

    async def _switch(self, about: _Endpoint) -> Placement:
        """Have the route changed, once the target is ready and closed."""
        reason = await self._why_not_yet(about)
        shard = about.other if reason else about.target
        if not reason:
            _log.info("endpoint_moves", endpoint=str(about.name), shard=about.target)
        return Placement(
            endpoint=about.name,
            shard=shard,
            entries=about.left(),
            has_own=True,
            has_pods=True,
            message=reason or f"to shard {about.target}: receivers are told",
            is_waiting=not reason,
        )

    async def _why_not_yet(self, about: _Endpoint) -> str:
        """Return what keeps the route from being changed; empty where nothing does."""
        where = f"to shard {about.target}"
        state = self._shards.state(about.target)
        if state.reason is not None:
            return f"{where}: its streams are not there yet: {state.message}"
        name, config = about.name, self._config
        if about.target == dedicated_shard(name):
            selector = processor_selector(name, config)
            view = await self._pools.view(selector)
            table = self._own_tables.processors(name).table
            generation = "" if table is None else table.generation
            is_read = view.having({DEDICATED_PROCESSORS_FILE: {generation}}) >= view.ready
            if not is_read:
                await self._pools.touch(selector, f"{DEDICATED_PROCESSORS_FILE}.{generation}")
        else:
            view = await self._pools.view(self._tables.selector("processors") or {})
            is_read = await self._tables.has_arrived("processors", name, everywhere=True)
            if not is_read:
                await self._tables.touch("processors", name)
        if not view.ready:
            return f"{where}: no processor of it is ready ({view.total} there)"
        if about.target in about.standing or not is_read:
            return f"{where}: its processors are told to wait"
        return ""

    async def _switched(self, about: _Endpoint) -> Placement:
        """Open the target, once all that the other shard was given is delivered or parked."""
        reason = await self._why_closed(about)
        if not reason:
            _log.info("endpoint_moved", endpoint=str(about.name), shard=about.target)
            return await self._opened(about)
        return Placement(
            endpoint=about.name,
            shard=about.target,
            entries=about.left(),
            has_own=True,
            has_pods=True,
            message=f"to shard {about.target}: {reason}",
            is_waiting=True,
        )

    async def _why_closed(self, about: _Endpoint) -> str:
        name = about.name
        if not await self._all_receive(name, about.manifest):
            self._arrived_at.pop(name, None)
            return "some receiver has not read the new route yet, or is about to leave"
        since = self._arrived_at.setdefault(name, self._clock())
        if self._clock() - since < SETTLE_SECONDS:
            return "webhooks that were on their way are stored"
        if await self._contents.is_unfinished(about.other, name):
            return f"what shard {about.other} was given before is delivered first"
        self._arrived_at.pop(name, None)
        return ""

    async def _opened(self, about: _Endpoint) -> Placement:
        """Have the target worked; and the other one, as long as it holds anything."""
        name, other, target = about.name, about.other, about.target
        names = [each.name for each in about.processing.destinations]
        holding = await self._contents.holding(other, name)
        held: tuple[str, ...] = ()
        before = about.standing.get(target)
        was_held = before is None or (
            isinstance(before.others, OtherStreams) and bool(before.others.held)
        )
        if was_held and holding.has_any:
            held = tuple(sorted(await self._contents.waiting_for(other, name, names)))
        claims = (other,) if holding.has_claims or held else ()
        entries = {target: about.entry(target, claims, held)}
        if holding.has_any:
            entries[other] = about.entry(other, (target,))
        own = dedicated_shard(name)
        has_pods = target == own or holding.has_parked
        if not has_pods and holding.has_any:
            has_pods = await self._contents.is_unfinished(own, name)
        return Placement(
            endpoint=name,
            shard=target,
            entries=entries,
            has_own=True,
            has_pods=has_pods,
            held=held,
            message=(
                f"to shard {target}: what shard {other} has for {', '.join(held)} goes first, "
                "others have all that comes"
                if held
                else ""
            ),
        )

    async def _retired(self, about: _Endpoint, found: Placement) -> Placement:
        """Remove streams of its own that it was moved out of, when they hold nothing any more."""
        name, own = about.name, dedicated_shard(about.name)
        if own in found.entries or about.entry(about.target) != about.standing.get(about.target):
            return found
        # Whoever reads a claim there would wait for it forever.
        if not await self._tables.has_arrived("processors", name, everywhere=True):
            return found
        if not await self._shards.remove(own):
            return found
        _log.info("dedicated_streams_removed", shard=own)
        return replace(found, has_own=False, has_pods=False)

    def _unchanged(self, about: _Endpoint, written: frozenset[str], reason: str) -> Placement:
        """Return what is, with what the spec says of everything else."""
        own = dedicated_shard(about.name)
        entries = about.as_it_is(about.target) | about.as_it_is(about.other)
        shard = about.target if about.target in written or not written else about.other
        closed = shard not in entries
        return Placement(
            endpoint=about.name,
            shard=shard,
            entries=entries,
            has_own=True,
            has_pods=own in entries or own in written,
            is_held_back=not written,
            is_waiting=closed,
            message=f"the streams were not seen: {reason}" if closed or not written else "",
        )

    # --- who has read what

    async def _all_receive(self, name: EndpointName, manifest: WebhookEndpoint) -> bool:
        """Say whether no receiver has another route than the one that is written.

        One that is not ready may be ready again with what it read before, and one that is leaving
        may still store what it was sent.
        """
        own = await self._pools.view(endpoint_selector(name, self._config))
        isolation = manifest.spec.receiver.isolation or self._config.isolation
        if isolation == "Shared":
            if own.total or own.leaving:
                return False
        else:
            table = self._own_tables.receivers(name)
            wanted = {DEDICATED_FILE: {"" if table is None else table.generation}}
            if own.leaving or not own.ready or own.ready < own.total:
                return False
            if own.having(wanted) < own.ready:
                return False
        selector = self._tables.selector("receivers")
        if selector is None:
            return True
        shared = await self._pools.view(selector)
        if shared.leaving or shared.ready < shared.total:
            return False
        return await self._tables.has_arrived("receivers", name, everywhere=True)
