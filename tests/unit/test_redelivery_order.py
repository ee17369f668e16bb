"""Messages that were sent back keep their order."""

from forebay.core.endpoint_name import EndpointName
from forebay_processor.shared.redelivery_order import (
    BEHIND_SECONDS,
    DELAY_SECONDS,
    FORGOTTEN_SECONDS,
    RedeliveryOrder,
)

ONE, OTHER = EndpointName("demo", "one"), EndpointName("demo", "other")


def test_a_newer_one_waits_for_an_older_one() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    assert order.is_behind(ONE, 6, now=1)


def test_the_older_one_itself_waits_for_nothing() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    order.send_back(ONE, 6, now=0, is_known=False)
    assert not order.is_behind(ONE, 5, now=1)


def test_when_the_older_one_came_back_nothing_waits() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    order.back(ONE, 5)
    assert not order.is_behind(ONE, 6, now=1)


def test_endpoints_do_not_wait_for_each_other() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    assert not order.is_behind(OTHER, 6, now=1)


def test_one_that_never_comes_back_is_forgotten() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    order.send_back(ONE, 6, now=FORGOTTEN_SECONDS, is_known=False)
    assert not order.is_behind(ONE, 6, now=FORGOTTEN_SECONDS + 1)
    assert order.is_behind(ONE, 7, now=FORGOTTEN_SECONDS + 1)


def test_one_that_is_sent_back_again_is_not_forgotten() -> None:
    order = RedeliveryOrder()
    order.send_back(ONE, 5, now=0, is_known=False)
    order.send_back(ONE, 5, now=FORGOTTEN_SECONDS, is_known=False)
    assert order.is_behind(ONE, 6, now=FORGOTTEN_SECONDS + 1)


def test_what_only_waits_for_an_older_one_comes_again_sooner() -> None:
    order = RedeliveryOrder()
    assert order.send_back(ONE, 5, now=0, is_known=False) == DELAY_SECONDS
    assert order.send_back(ONE, 6, now=0, is_known=True) == BEHIND_SECONDS < DELAY_SECONDS
