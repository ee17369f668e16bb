"""A request's path finds the endpoint that it names, letter for letter, and no other."""

from hypothesis import example, given
from hypothesis import strategies as st

from forebay.core.tables import ReceiverTable
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.services.routes import Routes
from forebay_receiver.settings import ReceiverSettings
from support.inputs.tables import route

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.builds("{}/{}".format, LABELS, LABELS)
PATHS = st.one_of(
    st.text(max_size=40),
    st.builds("/v1/webhooks/{}".format, st.text(max_size=20)),
    st.builds(
        "/v1/webhooks/{}{}".format, NAMES, st.sampled_from(["/", "//", "%00", ".", " ", ";"])
    ),
    st.builds("/v1/webhooks//{}".format, NAMES),
)


def routes_of(names: set[str]) -> Routes:
    metrics = ReceiverMetrics(pool="receiver")
    routes = Routes(metrics, ReceiverSettings())
    table = ReceiverTable(generation="1", routes=tuple(route(name) for name in sorted(names)))
    routes.replace({"0.json": table})
    return routes


@given(st.sets(NAMES, max_size=5), NAMES)
def test_a_path_finds_its_own_endpoint_and_no_other(names: set[str], asked: str) -> None:
    found = routes_of(names).find(f"/v1/webhooks/{asked}")
    assert (str(found.name) if found is not None else None) == (asked if asked in names else None)


@given(PATHS)
@example("/v1/webhooks/demo/../demo/meta")
@example("/v1/webhooks/demo/meta\x00")
@example("/v1/webhooks/demo/meta//")
@example("/V1/webhooks/demo/meta")
@example("/v1/webhooks/demo%2Fmeta")
def test_a_path_that_is_not_written_as_it_should_be_finds_nothing(path: str) -> None:
    found = routes_of({"demo/meta"}).find(path)
    written = {"/v1/webhooks/demo/meta", "/v1/webhooks/demo/meta/"}
    assert (found is not None) == (path in written)
