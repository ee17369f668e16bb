"""The operator is restarted where it stands still, and not where something else is away."""

from forebay_operator.services.liveness import SILENT_SECONDS, STUCK_SECONDS, Liveness


class Played:
    """An operator by its figures."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting = 0
        self.passed_at = 0.0
        self.silence = 0.0
        self.liveness = Liveness(
            lambda: self.now, lambda: self.waiting, lambda: self.passed_at, lambda: self.silence
        )

    def after(self, seconds: float) -> list[str]:
        """Let time go by, and ask."""
        self.now += seconds
        return self.liveness.troubles()


def test_one_with_nothing_to_do_is_well() -> None:
    assert Played().after(10 * STUCK_SECONDS) == []


def test_a_queue_that_nobody_works_is_no_life() -> None:
    operator = Played()
    assert operator.after(0) == []
    operator.waiting = 5
    assert operator.after(STUCK_SECONDS - 1) == []
    assert operator.after(2) == [
        f"no endpoint was handled for {STUCK_SECONDS + 1:.0f} s, though some wait"
    ]


def test_a_long_queue_that_moves_is() -> None:
    operator = Played()
    operator.waiting = 10_000
    for _ in range(20):
        operator.passed_at = operator.now
        assert operator.after(STUCK_SECONDS / 2) == []


def test_what_came_after_a_long_rest_has_its_time() -> None:
    operator = Played()
    assert operator.after(10 * STUCK_SECONDS) == []
    operator.waiting = 1
    assert operator.after(STUCK_SECONDS / 2) == []


def test_a_watch_that_does_nothing_is_no_life() -> None:
    operator = Played()
    operator.silence = SILENT_SECONDS
    assert operator.after(1) == []
    operator.silence += 1
    assert operator.after(1) == [
        f"a watch of the API server did nothing for {SILENT_SECONDS + 1:.0f} s"
    ]
