"""The model of `test_backlog_model`, led by chance: long walks in which much happens at once.

hypothesis finds the short way to a fault; these find faults that need a lot to be under way. A walk
is repeated by its number.
"""

from collections.abc import Callable
from random import Random

import pytest

from forebay.core.tables import Batch
from support.processor.backlog_model import LANES, Model
from support.timing.further import one_in

WALKS = 16
BATCH = Batch(max_items=3, max_wait_seconds=0.02)
STEPS = 40
SECONDS = (0.01, 0.05, 0.3, 2.0, 20.0, 200.0)
STREAMS = ("forebay.retry.", "forebay.dead.")


class Walk:
    """One walk."""

    def __init__(self, seed: int, batch: Batch | None = None) -> None:
        self._random = Random(seed)
        self._model = Model(batch)
        self._steps: list[tuple[int, Callable[[], None]]] = [
            (3, self._arrive),
            (3, self._pass_time),
            (1, self._begin_to_fail),
            (1, self._fail_no_more),
            (4, self._change),
            (1, self._touch_an_item),
            (1, self._fill),
            (1, self._bound),
            (1, self._end),
        ]

    def run(self) -> None:
        """Go, and see what has to be so after each step and at the end."""
        weights, steps = zip(*self._steps, strict=True)
        for _ in range(STEPS):
            self._random.choices(steps, weights)[0]()
            self._model.check_bounds()
        self._model.settle()
        self._model.check_end()
        self._model.close()

    def _is_so(self) -> bool:
        return self._random.random() < 1 / 2

    def _conversation(self) -> str:
        return self._random.choice("abcde")

    def _arrive(self) -> None:
        count = self._random.choice((1, 2, 5, 12, 40))
        self._model.arrive(self._random.choice(LANES), self._conversation(), count)

    def _pass_time(self) -> None:
        self._model.pass_time(self._random.choice(SECONDS))

    def _begin_to_fail(self) -> None:
        self._model.failing.add(self._conversation())

    def _fail_no_more(self) -> None:
        self._model.failing.discard(self._conversation())

    def _change(self) -> None:
        model, what = self._model, self._random.randrange(5)
        if what == 0:
            model.is_down = self._is_so()
        elif what == 1:
            model.is_hanging = self._is_so()
        elif what == 2:
            model.wish = self._random.choice((0.0, 5.0, 60.0))
        elif what == 3:
            model.is_paused = self._is_so()
        elif self._random.random() < 1 / 4:
            model.is_ordered = not model.is_ordered
        model.configure()

    def _touch_an_item(self) -> None:
        items = self._model.items
        if items and self._is_so():
            self._model.replay(self._random.randrange(len(items)))
        elif items and not (item := self._random.choice(items)).is_acked:
            self._model.rejected.add(item.key)

    def _fill(self) -> None:
        full = self._random.choice(STREAMS)
        if self._is_so():
            self._model.disturbed = True
            self._model.table.full.add(full)
        else:
            self._model.table.full.discard(full)

    def _bound(self) -> None:
        self._model.bound(self._random.choice((0, 10, 40)))

    def _end(self) -> None:
        if self._is_so():
            self._model.kill_in(self._random.randint(1, 40))
        else:
            self._model.hand_over()


@pytest.mark.parametrize("first", one_in(10, range(0, 10 * WALKS, WALKS)))
def test_what_waits_is_delivered_as_was_promised_whatever_happens(first: int) -> None:
    for seed in range(first, first + WALKS):
        Walk(seed).run()


@pytest.mark.parametrize("first", one_in(10, range(0, 10 * WALKS, WALKS)))
def test_it_is_so_in_batches_too(first: int) -> None:
    for seed in range(first, first + WALKS):
        Walk(seed, BATCH).run()
