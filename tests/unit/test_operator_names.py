"""Names of objects: valid, never the same for two endpoints, and readable."""

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.endpoint_name import EndpointName, is_dns_label
from forebay_operator.builders.names import endpoint_object_name, host_object_name, table_index
from support.operator.operator_inputs import installation

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?", fullmatch=True)
CONFIG = installation()


@given(LABELS, LABELS)
def test_every_name_is_a_dns_label(namespace: str, name: str) -> None:
    made = endpoint_object_name(EndpointName(namespace, name), CONFIG)
    assert is_dns_label(made)
    assert made.startswith("forebay-")


@given(LABELS, LABELS, LABELS, LABELS)
def test_two_endpoints_never_share_a_name(one: str, two: str, three: str, four: str) -> None:
    first, second = EndpointName(one, two), EndpointName(three, four)
    same = endpoint_object_name(first, CONFIG) == endpoint_object_name(second, CONFIG)
    assert same == (first == second)


def test_hyphens_between_namespace_and_name_do_not_confuse() -> None:
    first = endpoint_object_name(EndpointName("a-b", "c"), CONFIG)
    assert first != endpoint_object_name(EndpointName("a", "b-c"), CONFIG)
    assert first.startswith("forebay-a-b-c-")


def test_longest_names_fit() -> None:
    endpoint = EndpointName("n" * 63, "e" * 50)
    config = installation(name="x" * 40)
    assert len(endpoint_object_name(endpoint, config)) == 63
    assert is_dns_label(host_object_name("shared", "a." * 100 + "com", config))


@given(LABELS, LABELS)
def test_tables_are_those_that_there_are(namespace: str, name: str) -> None:
    assert table_index(EndpointName(namespace, name), 16) in range(16)


def test_place_in_the_tables_is_the_same_in_every_version() -> None:
    places = [table_index(EndpointName("acme", f"e{number}"), 16) for number in range(8)]
    assert places == [table_index(EndpointName("acme", f"e{number}"), 16) for number in range(8)]
    assert len(set(places)) > 3
