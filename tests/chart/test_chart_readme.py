"""The chart's README has every value; `make generate` writes it."""

from typing import Any

import pytest
import yaml

from support.cluster.chart import CHART
from support.cluster.chart_readme import README, readme, rows


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # noqa: ANN401  # any value
    """Return the path of each value that holds no others."""
    if isinstance(value, dict) and value:
        return [each for key, inner in value.items() for each in leaves(inner, (*path, key))]
    if isinstance(value, list) and value:
        return leaves(value[0], (*path, "[]"))
    return [path]


def test_the_readme_is_what_the_values_say(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        README.write_text(readme())
    assert README.read_text() == readme(), "run `make generate`"


def test_every_value_has_a_row_or_is_a_part_of_one() -> None:
    documented = {row.path for row in rows()}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in leaves(values):
        above = {path[:length] for length in range(1, len(path) + 1)}
        assert above & documented, f"{'.'.join(path)} has no comment that begins with `# --`"


def test_rows_have_their_defaults() -> None:
    by_name = {row.name: row for row in rows()}
    assert by_name["nats.replicas"].default == 3
    assert by_name["shards[].raw.maxAge"].default == "168h"
    assert by_name["receivers.shared.autoscaling.min"].meaning.startswith("Two at least")
