"""The pictures of the dashboards: there, small, and with numbers as Grafana writes them."""

from itertools import product
from pathlib import Path
from typing import Final

import pytest
from PIL import Image

from support.pictures.sheets import MOST_BYTES
from support.pictures.values import colour_of, legend_of, mapped, written

DOCS: Final = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "theme"), [*product(("overview", "endpoint", "platform"), ("light", "dark"))]
)
def test_each_dashboard_has_a_picture_that_the_page_shows(name: str, theme: str) -> None:
    file = DOCS / "images" / f"{name}-{theme}.png"
    assert f"images/{file.name}" in (DOCS / "monitoring.md").read_text()
    assert file.stat().st_size < MOST_BYTES
    with Image.open(file) as picture:
        assert picture.width == 1600
        darkness = picture.convert("L").resize((1, 1)).getpixel((0, 0))
    assert isinstance(darkness, int)
    assert (darkness < 128) == (theme == "dark")


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [
        (0.5, "s", "500 ms"),
        (90, "s", "1.5 min"),
        (7200, "s", "2 h"),
        (0.999, "percentunit", "100%"),
        (0.0005, "percentunit", "0.1%"),
        (3 * 2**20, "bytes", "3 MiB"),
        (1234, "short", "1.23 K"),
        (12.5, "reqps", "12.5 req/s"),
        (float("nan"), "s", "NaN"),
    ],
)
def test_a_number_is_written_with_its_unit(value: float, unit: str, says: str) -> None:
    assert written(value, unit) == says


def test_a_colour_is_that_of_the_last_step_that_a_value_reached() -> None:
    steps = {
        "steps": [
            {"value": None, "color": "red"},
            {"value": 0, "color": "orange"},
            {"value": 0.5, "color": "green"},
        ]
    }
    assert [colour_of(value, steps) for value in (-1, 0, 0.49, 0.5)] == [
        "red",
        "orange",
        "orange",
        "green",
    ]


def test_a_value_that_has_a_name_is_shown_by_it() -> None:
    mappings = [{"options": {"1": {"text": "open", "color": "red"}, "Infinity": {"text": "none"}}}]
    assert mapped(1, mappings) == ("open", "red")
    assert mapped(float("inf"), mappings) == ("none", "")
    assert mapped(2, mappings) is None


def test_a_legend_has_the_values_of_its_labels() -> None:
    assert legend_of("{{pool}} 99 %", {"pool": "receiver"}) == "receiver 99 %"
