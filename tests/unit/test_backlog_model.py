"""Whatever comes, fails and dies in whatever order: what waits is delivered as was promised.

Order of a conversation, once, its time, its age, what is in memory, and the counts: each is looked
at by the model (`support.processor.backlog_model`), which a machine of hypothesis drives.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from typing_extensions import override

from support.processor.backlog_model import LANES, Model

CONVERSATIONS = st.sampled_from(["a", "b", "c", "d", "e"])


class Backlog(RuleBasedStateMachine):
    """Everything that can happen to one destination's queue."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()

    @rule(lane=st.sampled_from(LANES), conversation=CONVERSATIONS, count=st.integers(1, 12))
    def arrive(self, lane: str, conversation: str, count: int) -> None:
        """Let items come."""
        self.model.arrive(next(each for each in LANES if each == lane), conversation, count)

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.3, 2.0, 20.0, 200.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.model.pass_time(seconds)

    @rule(conversation=CONVERSATIONS)
    def begin_to_fail(self, conversation: str) -> None:
        """Let a conversation fail."""
        self.model.failing.add(conversation)

    @rule(conversation=CONVERSATIONS)
    def fail_no_more(self, conversation: str) -> None:
        """Let a conversation be taken again."""
        self.model.failing.discard(conversation)

    @rule(is_down=st.booleans())
    def go_down(self, is_down: bool) -> None:  # noqa: FBT001  # a choice of the machine
        """Let the destination be away, or back."""
        self.model.is_down = is_down

    @rule(is_hanging=st.booleans())
    def hang(self, is_hanging: bool) -> None:  # noqa: FBT001  # a choice of the machine
        """Let it answer late, or at once."""
        self.model.is_hanging = is_hanging

    @rule(wish=st.sampled_from([0.0, 5.0, 60.0]))
    def ask_to_be_left_alone(self, wish: float) -> None:
        """Let it say when to come again."""
        self.model.wish = wish

    @rule(is_paused=st.booleans())
    def pause(self, is_paused: bool) -> None:  # noqa: FBT001  # a choice of the machine
        """Let the endpoint be paused, or resumed."""
        self.model.is_paused = is_paused
        self.model.configure()

    @rule(number=st.integers(0, 200))
    def reject(self, number: int) -> None:
        """Let an item never be taken."""
        items = self.model.items
        if items and not items[number % len(items)].is_acked:
            self.model.rejected.add(items[number % len(items)].key)

    @rule(number=st.integers(0, 200))
    def replay(self, number: int) -> None:
        """Let a person send an item again."""
        if self.model.items:
            self.model.replay(number)

    @rule(full=st.sampled_from(["forebay.retry.", "forebay.dead."]), is_full=st.booleans())
    def fill(self, full: str, is_full: bool) -> None:  # noqa: FBT001  # a choice of the machine
        """Let a stream have no room, or room again."""
        if is_full:
            self.model.disturbed = True
            self.model.table.full.add(full)
        else:
            self.model.table.full.discard(full)

    @rule(rows=st.sampled_from([0, 10, 40]))
    def bound(self, rows: int) -> None:
        """Let RETRY hold less, of which the destination may have its share, or more."""
        self.model.bound(rows)

    @rule(is_ordered=st.booleans())
    def order(self, is_ordered: bool) -> None:  # noqa: FBT001  # a choice of the machine
        """Let the endpoint give order up, or want it again."""
        self.model.is_ordered = is_ordered
        self.model.configure()

    @rule(steps=st.integers(1, 40))
    def kill(self, steps: int) -> None:
        """Let the process die at one of the next awaits."""
        self.model.kill_in(steps)

    @rule()
    def hand_over(self) -> None:
        """Let the partition go to another process in order."""
        self.model.hand_over()

    @invariant()
    def nothing_went_wrong(self) -> None:
        """See what has to be so at any moment."""
        self.model.check_bounds()

    @override
    def teardown(self) -> None:
        """See what has to be so when all is well again."""
        self.model.settle()
        self.model.check_end()
        self.model.close()


TestBacklog = Backlog.TestCase
TestBacklog.settings = settings(deadline=None)
