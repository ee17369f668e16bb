"""What Helm prints after an install is of the values that it was installed with."""

import pytest

from support.cluster.chart import Manifest, render

OWN = {
    "isolation": "Dedicated",
    "receivers": {
        "dedicated": {"cpuRequest": "250m"},
        "resources": {"requests": {"memory": "256Mi"}},
    },
}
FIXED = {"shared": {"autoscaling": {"enabled": False}, "replicas": 5}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"isolation": "Shared"}, ["Endpoints share 2 receivers or more (isolation: Shared)"]),
        (
            {"isolation": "Shared", "receivers": FIXED},
            ["Endpoints share 5 receivers (isolation: Shared)"],
        ),
        (
            {"isolation": "Dedicated"},
            ["two pods each, 18m CPU and 128Mi as", "100 channels are 200 pods with 25 GiB."],
        ),
        (OWN, ["two pods each, 250m CPU and 256Mi as", "100 channels are 200 pods. "]),
    ],
)
def test_how_many_receivers_endpoints_have(values: Manifest, said: list[str]) -> None:
    notes = render({"host": "hooks.example.com"} | values).notes
    for each in said:
        assert each in notes
