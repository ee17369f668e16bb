"""What stands on disk in every installation: these values never change without a migration.

A test that fails here does not ask for another value, it asks for a design note (docs/design).
"""

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    FORMAT_VERSION,
    PARTITIONS,
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    StreamKind,
    consumer_name,
    conversation_partition,
    conversation_token,
    dead_subject,
    endpoint_partition,
    key_token,
    stream_name,
    stream_subjects,
)

META = EndpointName("demo", "meta")
KEY = "msg:108200000000301:wamid.HBgLMTU1NTAwMDEyMzQVAgASGBQ5ODJEOUUzRUI5OTZGNTU5RTYzMwA="


def test_the_version_and_the_number_of_partitions() -> None:
    assert (FORMAT_VERSION, PARTITIONS) == ("2", 16)


@pytest.mark.parametrize(
    ("endpoint", "partition"),
    [("demo/meta", 6), ("demo/d360", 13), ("shop/eu-1", 6), ("a/b", 13)],
)
def test_an_endpoint_s_partition(endpoint: str, partition: int) -> None:
    assert endpoint_partition(EndpointName.parse(endpoint), "0") == partition


@pytest.mark.parametrize(
    ("endpoint", "conversation", "partition"),
    [
        ("demo/meta", "0123456789abcdef", 0),
        ("demo/meta", "ffffffffffffffff", 15),
        ("demo/d360", "0123456789abcdef", 12),
        ("shop/eu-1", "0123456789abcdef", 4),
        ("a/b", "ffffffffffffffff", 9),
    ],
)
def test_a_conversation_s_partition(endpoint: str, conversation: str, partition: int) -> None:
    assert conversation_partition(EndpointName.parse(endpoint), conversation, "0") == partition


def test_a_conversation_s_token() -> None:
    # printf '108200000000301\n15550001234' | sha256sum | cut -c1-16
    assert conversation_token("108200000000301", "15550001234") == "ac7a036b40e38fcd"
    assert conversation_token("", "") == "01ba4719c80b6fe9"


def test_a_key_s_token() -> None:
    # printf %s "$key" | sha256sum | cut -c1-32
    assert key_token(KEY) == "2e5a626a0c11610cd88db00360622e91"
    assert key_token("") == "e3b0c44298fc1c149afbf4c8996fb924"


def test_the_names_of_streams() -> None:
    assert [stream_name(kind, "0") for kind in StreamKind] == [
        "FOREBAY_RAW_0",
        "FOREBAY_EVENTS_0",
        "FOREBAY_RETRY_0",
        "FOREBAY_DEAD_0",
    ]


def test_the_subjects_of_streams() -> None:
    assert [stream_subjects(kind, "eu-1") for kind in StreamKind] == [
        "forebay.raw.eu-1.>",
        "forebay.event.eu-1.>",
        "forebay.retry.eu-1.>",
        "forebay.dead.eu-1.>",
    ]


def test_the_names_of_consumers() -> None:
    assert consumer_name("split", Lane.LIVE, 0) == "split-live-00"
    assert consumer_name("deliver", Lane.STATUS, 15) == "deliver-status-15"


def test_the_names_of_lanes() -> None:
    assert [str(lane) for lane in Lane] == ["live", "status", "bulk", "invalid"]


def test_the_subject_of_a_body() -> None:
    subject = RawSubject("0", 6, Lane.LIVE, META)
    assert str(subject) == "forebay.raw.0.06.live.demo.meta"


def test_the_subject_of_an_item() -> None:
    subject = EventSubject("0", 3, Lane.STATUS, META, "statuses", "ab")
    assert str(subject) == "forebay.event.0.03.status.demo.meta.statuses.ab"


def test_the_subject_of_what_waits() -> None:
    subject = RetrySubject("0", 11, Lane.BULK, META, "crm", "cd", "ab")
    assert str(subject) == "forebay.retry.0.11.bulk.demo.meta.crm.cd.ab"


def test_the_subject_of_a_dead_letter() -> None:
    assert dead_subject("0", META, "crm", "ab") == "forebay.dead.0.demo.meta.crm.ab"
