"""Messages that were sent back keep their order."""

from forebay.core.naming import EndpointName
from forebay_processor.shared.redelivery_order import FORGOTTEN_SECONDS, Deferred

ONE, OTHER = EndpointName("demo", "one"), EndpointName("demo", "other")


def test_a_newer_one_waits_for_an_older_one() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    assert deferred.is_behind(ONE, 6, now=1)


def test_the_older_one_itself_waits_for_nothing() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    deferred.send_back(ONE, 6, now=0)
    assert not deferred.is_behind(ONE, 5, now=1)


def test_when_the_older_one_came_back_nothing_waits() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    deferred.back(ONE, 5)
    assert not deferred.is_behind(ONE, 6, now=1)


def test_endpoints_do_not_wait_for_each_other() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    assert not deferred.is_behind(OTHER, 6, now=1)


def test_one_that_never_comes_back_is_forgotten() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    deferred.send_back(ONE, 6, now=FORGOTTEN_SECONDS)
    assert not deferred.is_behind(ONE, 6, now=FORGOTTEN_SECONDS + 1)
    assert deferred.is_behind(ONE, 7, now=FORGOTTEN_SECONDS + 1)


def test_one_that_is_sent_back_again_is_not_forgotten() -> None:
    deferred = Deferred()
    deferred.send_back(ONE, 5, now=0)
    deferred.send_back(ONE, 5, now=FORGOTTEN_SECONDS)
    assert deferred.is_behind(ONE, 6, now=FORGOTTEN_SECONDS + 1)
