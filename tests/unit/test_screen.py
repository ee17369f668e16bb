"""The picture of a run on terminals of all sizes: names stay, what is left out is said."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.screen import View, picture
from forebay.local.troubles import (
    DestinationStates,
    TroubledDestination,
    span,
    troubles_of,
)

TITLE = Text("Forebay 1.0 is ready")
LONG = "customer-support-berlin/whatsapp-production-2"
STATE = TroubledDestination(
    endpoint="acme/shop",
    destination="crm",
    state="Failing",
    reason="status 503",
    failures=7,
    failing_seconds=200.0,
    next_attempt_seconds=12.4,
    waiting=42,
)
REFUSED = TroubledDestination(
    endpoint="acme/shop",
    destination="erp",
    state="Refused",
    reason="status 401",
    failures=1,
    failing_seconds=4000,
    next_attempt_seconds=1700,
    waiting=12,
)
BUSY = EndpointCounts(
    stored=899_991,
    repeats=1_234,
    refused=55,
    unavailable=7,
    refused_reasons={"signature_wrong": 55, "overloaded": 7},
    delivered=799_992,
    waiting=99_999,
    dead=3,
    rate=1_000,
)


def view(
    *names: str,
    states: DestinationStates | None = None,
    rows: dict[str, EndpointCounts] | None = None,
    items: int = 0,
) -> View:
    item = LastItem(
        at="08:41:46", endpoint="acme/shop", kind="k", type="t", key="f" * 40, latency_ms=4
    )
    found = rows or {}
    return View(
        title=TITLE,
        endpoints=names,
        rows=found,
        troubles=troubles_of(states or DestinationStates(), found),
        latest=[item] * items,
    )


def lines(shown: View, width: int, height: int | None = 24) -> list[str]:
    """Return what a terminal of this size shows."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height or 1000, color_system=None)
    console.print(picture(shown, width, height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 94, 95, 120])
@pytest.mark.parametrize("name", ["acme/shop", LONG])
def test_an_endpoints_name_is_there_at_every_width(width: int, name: str) -> None:
    shown = lines(view(name, rows={name: BUSY}), width)
    assert all(len(line) <= width for line in shown)
    at = next(number for number, line in enumerate(shown) if "endpoint" in line)
    table = shown[at + 2 :]
    folded = "".join(line[2:].split(" ")[0] for line in table if line.strip())
    assert folded == name


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_figures_that_matter_most_are_whole_at_every_width(width: int) -> None:
    shown = "\n".join(lines(view(LONG, rows={LONG: BUSY}), width))
    for heading in ("endpoint", "received", "delivered", "waiting", "dead"):
        assert heading in shown
    for figure in ("901,287", "799,992", "99,999", " 3"):
        assert figure in shown


def test_columns_are_left_out_one_by_one_as_the_terminal_gets_narrower() -> None:
    def headings(width: int) -> set[str]:
        shown = lines(view(LONG, rows={LONG: BUSY}), width)
        found = next(line for line in shown if "endpoint" in line)
        return {
            each
            for each in ("per s", "received", "repeats", "refused", "503", "delivered")
            if each in found
        }

    assert headings(120) == {"per s", "received", "repeats", "refused", "503", "delivered"}
    assert headings(60) == {"received", "delivered"}
    sizes = [len(headings(width)) for width in range(60, 121)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_failing_destination_is_named_with_its_reason_and_since_when(width: int) -> None:
    shown = "\n".join(
        lines(view("acme/shop", states=DestinationStates(destinations=(STATE,))), width)
    )
    assert "acme/shop" in shown
    assert "failing: status 503 for 3 min" in shown


def test_eighty_columns_hold_what_matters_of_a_failing_destination() -> None:
    shown = lines(view("acme/shop", states=DestinationStates(destinations=(STATE,))), 80)
    assert shown[2].startswith(
        "  ✗ acme/shop → crm  failing: status 503 for 3 min, 42 waiting, next try in 1"
    )


@pytest.mark.parametrize("height", [10, 16, 24, 40])
@pytest.mark.parametrize("endpoints", [1, 50])
@pytest.mark.parametrize("troubled", [0, 30])
def test_the_picture_is_never_higher_than_the_terminal_and_the_title_is_its_first_line(
    height: int, endpoints: int, troubled: int
) -> None:
    names = [f"acme/shop-{number:02}" for number in range(endpoints)]
    states = DestinationStates(
        destinations=tuple(
            TroubledDestination(
                endpoint=f"acme/shop-{number:02}",
                destination="crm",
                state="Open",
                reason="timeout",
                failures=1,
                failing_seconds=1,
                next_attempt_seconds=1,
                waiting=0,
            )
            for number in range(troubled)
        )
    )
    shown = lines(view(*names, states=states, items=5), 80, height)
    assert len(shown) < height
    assert shown[0].strip() == TITLE.plain
    assert any("endpoint" in line for line in shown)
    if troubled:
        breakers = sum("breaker open" in line for line in shown)
        assert breakers >= 1
        assert (breakers < troubled) == any("more: forebay status" in line for line in shown)
    if endpoints == 50:
        assert any("+ " in line and "more" in line for line in shown)
    assert sum("acme/shop-" in line for line in shown) >= 1


def test_where_not_all_fit_those_with_troubles_and_traffic_stay() -> None:
    names = [f"acme/shop-{number:02}" for number in range(60)]
    paused = DestinationStates(paused=("acme/shop-57",))
    rows = {"acme/shop-58": EndpointCounts(stored=1)}
    shown = "\n".join(lines(view(*names, states=paused, rows=rows), 80))
    table = shown[shown.index("endpoint") :]
    assert "acme/shop-57" in table
    assert "acme/shop-58" in table
    assert "acme/shop-59" not in table


def test_the_latest_items_are_shown_where_there_is_room() -> None:
    assert sum("08:41:46" in line for line in lines(view("acme/shop", items=5), 80)) == 5
    names = [f"acme/shop-{number:02}" for number in range(60)]
    assert not any("08:41:46" in line for line in lines(view(*names, items=5), 80))


def test_troubles_are_in_the_order_of_what_they_cost() -> None:
    rows = {
        "acme/shop": EndpointCounts(
            refused_reasons={"signature_wrong": 9, "overloaded": 2},
            unreadable_reasons={"NotJson": 3},
            waiting=5,
        )
    }
    states = DestinationStates(
        destinations=(
            STATE,
            REFUSED,
        ),
        paused=("acme/shop",),
    )
    assert [f"{each.who}: {each.what}" for each in troubles_of(states, rows)] == [
        "acme/shop → erp: refuses us: status 401 for 1 h, 12 waiting, next try in 28 min",
        "acme/shop → crm: failing: status 503 for 3 min, 42 waiting, next try in 12 s",
        "acme/shop: 3 unreadable bodies, NotJson",
        "acme/shop: 11 not taken, most signature_wrong (9)",
        "acme/shop: paused, 5 waiting",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_times_are_in_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_of_a_long_name_neither_the_destination_nor_the_reason_is_cut(width: int) -> None:
    state = replace(REFUSED, endpoint=LONG)
    shown = lines(view(LONG, states=DestinationStates(destinations=(state,))), width)
    assert shown[2].startswith("  ✗ customer-supp")
    assert "→ erp  refuses us: status 401 for 1 h" in shown[2]
