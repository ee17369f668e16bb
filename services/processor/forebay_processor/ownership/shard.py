"""One shard as this process works it: the partitions that it owns, taken, worked and handed over.

What the table of leases says is followed after each step: a partition that is ours is begun, what
is above our share is drained and given back, what is somebody else's is dropped.

A partition is begun so: RETRY is asked what it holds before EVENTS is pulled, so that an item
that comes again and is parked already is refused there; consumers are taken over, so that what an
owner before us left comes first; RETRY is worked only when all of that has come again and is acked
as far as it was parked, so that nothing overtakes an older item and nothing is delivered from both.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import Lane, StreamKind, partitions_of, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import AGAIN_SECONDS, LogOnce
from forebay.runtime.periodic import periodically
from forebay.runtime.supervise import all_of, end_tasks, to_the_end
from forebay_processor.adapters.connection import Session
from forebay_processor.delivery.backlog_survey import BacklogSurvey
from forebay_processor.maintenance.retention import StreamRetention
from forebay_processor.maintenance.unsplit_monitor import UnsplitMonitor
from forebay_processor.ownership.assignment import KINDS, surplus
from forebay_processor.ownership.consumer_check import NAMED, ConsumerWatch
from forebay_processor.ownership.membership import Membership
from forebay_processor.ownership.partition import OwnedPartition
from forebay_processor.ownership.partition_factory import PartitionFactory
from forebay_processor.shared.lease_table import LeaseTable
from forebay_processor.shared.retention_ages import RetentionAges

__all__ = ["ShardRunner"]

_log = structlog.get_logger(__name__)

CATCH_UP_SECONDS: Final = 15.0
"""The longest wait for what an owner before us left; then RETRY is worked all the same."""

BEGIN_PAUSE_SECONDS: Final = 1.0
"""Between two tries to begin, while streams are missing or have no leader."""

SWEEP_SECONDS: Final = 30.0
"""After a partition was taken, RETRY is read again for what an owner before us stored late."""

AGES_SECONDS: Final = 60.0
"""Between two checks of how long the streams keep what they hold: settings that seldom change."""

RETENTION_PARTITION: Final = "raw.00"
"""Its owner makes room in the shard's streams, and reports webhooks that nobody splits."""


class ShardRunner:
    """What this process does for one shard."""

    def __init__(self, name: str, me: str, listener_id: str, factory: PartitionFactory) -> None:
        self.name = name
        self._factory = factory
        self._membership = Membership(
            name, me, listener_id, self._follow, factory.on_answer, factory.metrics.heartbeat
        )
        self._survey = BacklogSurvey(name, factory.queues)
        self._ages = RetentionAges()
        self._partitions: dict[str, OwnedPartition] = {}
        self._session: Session | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        """Beside the session: beginning, sweeping."""

        self._drains: dict[str, asyncio.Task[None]] = {}
        self._is_ready = False
        self._watch: ConsumerWatch | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it has joined and works what it got."""
        return self._is_ready

    @property
    def troubles(self) -> list[str]:
        """What is missing, or does not answer, though it did before; in words."""
        found = self._watch.troubles if self._watch is not None else []
        trouble = self._membership.trouble
        if self._is_ready and trouble is not None and not self._membership.lease.is_valid:
            found = [f"the table of leases of shard {self.name}: {trouble}", *found]
        return found

    @property
    def partitions(self) -> list[OwnedPartition]:
        """What is owned at this moment."""
        return list(self._partitions.values())

    @property
    def table(self) -> LeaseTable:
        """The table of leases after the last step."""
        return self._membership.table

    # -- a session

    async def work(self, session: Session) -> None:
        """Work over one connection; until cancelled."""
        self._session = session
        settings = self._factory.settings
        retention = StreamRetention(
            session.streams,
            self.name,
            self._factory.metrics,
            settings.retention_check_seconds,
            self._checks_streams,
        )
        unsplit_monitor = UnsplitMonitor(
            session.streams,
            self.name,
            self._factory.metrics,
            self._ages,
            self._factory.queues.time,
            settings.retention_check_seconds,
            self._checks_streams,
        )
        watch = self._watch = ConsumerWatch(
            session.streams,
            self.name,
            settings.stream_check_seconds,
            lambda: self.partitions,
            self._note_floor,
        )
        try:
            self._beside(watch.run())
            self._beside(self._membership.run(session.leases(self.name)))
            self._beside(retention.run())
            self._beside(unsplit_monitor.run())
            self._beside(self._follow_ages(session))
            await periodically(self._check_partitions, BEGIN_PAUSE_SECONDS / 4)
        finally:
            self._session = None
            await to_the_end(self._end_session())

    async def _check_partitions(self) -> None:
        self._check()
        await self._begin_missed_again()

    async def _end_session(self) -> None:
        tasks, self._tasks = self._tasks, set()
        await end_tasks(tasks)
        await asyncio.gather(*(each.consumers.detach() for each in self.partitions))

    def _note_floor(self, partition_id: str, lane: Lane, floor: AckFloor) -> None:
        self._membership.acked.setdefault(partition_id, {})[lane] = floor

    def _checks_streams(self) -> bool:
        return RETENTION_PARTITION in self._partitions

    async def _follow_ages(self, session: Session) -> None:
        async def read() -> None:
            try:
                await self._read_ages(session)
            except StoreError as error:
                _log.warning("ages_not_read", shard=self.name, reason=str(error))

        await periodically(read, AGES_SECONDS)

    async def _read_ages(self, session: Session) -> None:
        time = self._factory.queues.time
        asked_at = time.steady()
        events_stream = stream_name(StreamKind.EVENTS, self.name)
        time.observe(await session.streams.server_time(events_stream), asked_at)
        raw, events = [
            (await session.streams.stream_info(stream_name(kind, self.name))).config.max_age
            for kind in (StreamKind.RAW, StreamKind.EVENTS)
        ]
        self._ages.take(raw, events)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))

    def _check(self) -> None:
        """Raise what went wrong in a task: a fault of ours, which ends the process."""
        for task in [each for each in self._tasks if each.done()]:
            self._tasks.discard(task)
            if not task.cancelled():
                task.result()
        for partition in self.partitions:
            partition.consumers.check()

    async def _begin_missed_again(self) -> None:
        """Take over anew where somebody else was handed what is ours, or it was lost on its way.

        A request of an earlier owner that was stopped can do that, when it goes on. What it got is
        older than what came here next, so nothing of that was handed on (`Puller`). Where a
        consumer is gone, or was changed, it is restored on the way.
        """
        missed = [each for each in self.partitions if each.consumers.has_missed]
        broken = [
            each
            for each in self.partitions
            if each.consumers.is_broken and each.consumers.is_attached
        ]
        if missed:
            _log.warning("deliveries_missed", shard=self.name, partitions=len(missed))
        if missed or broken:
            await asyncio.gather(*(each.consumers.detach() for each in {*missed, *broken}))
            self._begin_new()

    # -- following the table

    def _follow(self, table: LeaseTable) -> None:
        mine = self._membership.owned
        lost = 0
        for partition_id, partition in list(self._partitions.items()):
            if mine.get(partition_id) == partition.epoch:
                continue
            del self._partitions[partition_id]
            self._membership.acked.pop(partition_id, None)
            # Whether it is at work or being drained: nothing more is written for it.
            partition.lose()
            if partition_id not in self._drains:
                lost += 1
                self._factory.metrics.lost(partition.kind)
                self._factory.tidy(partition.abandon())
        if lost:
            _log.warning("partitions_lost", shard=self.name, count=lost)
        for partition_id, epoch in mine.items():
            if not (
                partition_id in self._partitions
                or partition_id in self._drains
                or self._membership.is_releasing(partition_id)
            ):
                taken = self._partitions[partition_id] = self._factory.partition(
                    self.name, partition_id, epoch, self._membership.lease, self._ages
                )
                self._factory.metrics.taken(taken.kind)
        for partition_id in surplus(table, self._membership.me, partitions_of(self.name)):
            self._drain(partition_id)
        self._begin_new()
        self._factory.shared_by(self.name, len(table.members))

    def _begin_new(self) -> None:
        session = self._session
        new = [
            partition
            for partition in self._partitions.values()
            if not partition.consumers.is_begun and not partition.is_closing
        ]
        if session is None:
            return
        if not new:
            self._is_ready = self._is_ready or not self._partitions
            return
        for partition in new:
            partition.consumers.is_begun = True
        # Apart: where one stream is missing, what can be done without it is done.
        for kind in KINDS:
            of_kind = [each for each in new if each.kind == kind]
            if of_kind:
                self._beside(self._begin(of_kind, session))

    async def _begin(self, partitions: list[OwnedPartition], session: Session) -> None:
        missing = LogOnce()
        while True:
            partitions = [each for each in partitions if not each.is_closing]
            try:
                await self._prepare(partitions, session)
                break
            except StoreError as error:
                if missing.is_due():
                    _log.warning("engine_cannot_begin", reason=str(error))
                await asyncio.sleep(BEGIN_PAUSE_SECONDS)
        begun = [each for each in partitions if not each.is_closing]
        waiting = [each for each in self.partitions if not each.is_closing]
        self._is_ready = self._is_ready or all(each.consumers.is_attached for each in waiting)
        self._tell_restored(begun)
        _log.info(
            "partitions_begun",
            shard=self.name,
            count=len(begun),
            owned=len(self._partitions),
            members=len(self.table.members),
        )
        await self._start_retry([each for each in begun if each.consumers.dispatchers], session)

    async def _prepare(self, partitions: list[OwnedPartition], session: Session) -> None:
        await self._read_ages(session)
        unloaded = [each for each in partitions if not each.is_loaded]
        if unloaded:
            assignments = {
                each.partition_id: self.table.assignment(each.partition_id) for each in unloaded
            }
            floor, vacant = await self._survey.begin(session.streams, unloaded)
            for each in unloaded:
                before = assignments[each.partition_id]
                each.found(before, floor, is_vacant=each in vacant)
                self._membership.floors[each.partition_id] = floor
            self._beside(self._sweep(unloaded, session, floor))
        waiting = [each for each in partitions if not each.consumers.is_attached]
        for each in waiting:
            each.consumers.learn(self.table.assignment(each.partition_id).acked)
        await all_of(each.consumers.take_over(session) for each in waiting)
        for each in waiting:
            if not each.is_closing:
                await each.consumers.begin(session)

    def _tell_restored(self, partitions: list[OwnedPartition]) -> None:
        restored = [text for each in partitions for text in each.consumers.restored]
        for each in partitions:
            each.consumers.restored.clear()
        if restored:
            _log.warning(
                "consumers_restored",
                shard=self.name,
                count=len(restored),
                which="; ".join(restored[:NAMED]),
            )

    async def _start_retry(self, partitions: list[OwnedPartition], session: Session) -> None:
        """Begin to work RETRY when all that was left in EVENTS has come again."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                for partition in partitions:
                    for dispatcher in partition.consumers.dispatchers:
                        await dispatcher.wait_caught_up()
        except TimeoutError:
            _log.warning("catch_up_ended_early", seconds=CATCH_UP_SECONDS)
        await self._factory.acker.join()
        await asyncio.gather(*(each.consumers.confirm_acks() for each in partitions))
        for partition in partitions:
            partition.start()
        self._factory.queues.wake_rows()
        if partitions:
            self._beside(self._survey_backlogs(partitions, session))

    async def _survey_backlogs(self, partitions: list[OwnedPartition], session: Session) -> None:
        """Find and count what RETRY holds of partitions that were taken, until all is."""
        uncounted = LogOnce(AGAIN_SECONDS)
        for partition in partitions:
            while not partition.is_closing and partition.counted_to < partition.floor:
                try:
                    await self._survey.find(session.streams, partition)
                    async for sequence in self._survey.count(session.streams, partition):
                        partition.count_to(sequence)
                except StoreError as error:
                    if uncounted.is_due():
                        _log.warning("retry_not_counted", shard=self.name, reason=str(error))
                    await asyncio.sleep(BEGIN_PAUSE_SECONDS)

    async def _sweep(self, partitions: list[OwnedPartition], session: Session, floor: int) -> None:
        """Delete what an owner before us stored when it was not ours to see any more."""
        await asyncio.sleep(SWEEP_SECONDS)
        kept = [each for each in partitions if not each.is_closing]
        try:
            await self._survey.sweep(session.streams, kept, floor)
        except StoreError as error:
            # The next one who takes the partition does the same.
            _log.warning("retry_not_swept", shard=self.name, reason=str(error))

    # -- handing over

    def _drain(self, partition_id: str) -> None:
        partition = self._partitions.get(partition_id)
        if partition is not None and partition_id not in self._drains:
            self._drains[partition_id] = asyncio.create_task(
                self._hand_over(partition_id, partition)
            )

    async def _hand_over(self, partition_id: str, partition: OwnedPartition) -> None:
        try:
            await partition.drain(self._factory.settings.stop_seconds)
            await self._factory.acker.join()
            await partition.consumers.confirm_acks()
        finally:
            self._partitions.pop(partition_id, None)
            self._membership.acked.pop(partition_id, None)
            self._drains.pop(partition_id, None)
            self._membership.release(partition_id)

    async def leave(self) -> bool:
        """Hand over everything and leave the table, as far as NATS is there for it.

        Returns whether the table says so, or never named it. Where the connection is lost
        meanwhile, as when a machine is shut down, there is nothing to wait for: the lease ends by
        itself.
        """
        self._membership.leave()
        for partition_id in list(self._partitions):
            self._drain(partition_id)
        while self._drains:
            await asyncio.wait(self._drains.values())
        session = self._session
        if session is None or not self._is_ready:
            return True
        ends = {
            asyncio.create_task(self._membership.left.wait()),
            asyncio.create_task(session.lost.wait()),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(ends)
        return self._membership.left.is_set()
