"""The CRD comes with the chart and stays when it goes."""

import pytest
import yaml

from support.cluster.chart import CHART, VALUE_SETS, render_set

NAME = "webhookendpoints.forebay.dev"


@pytest.mark.parametrize("values", [name for name in VALUE_SETS if name != "external-nats"])
def test_the_crd_is_kept_on_uninstall(values: str) -> None:
    crd = render_set(values).one("CustomResourceDefinition", NAME)
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_it_can_be_left_out() -> None:
    assert not render_set("external-nats").of_kind("CustomResourceDefinition")


def test_rendering_changes_nothing_in_it() -> None:
    file = yaml.safe_load((CHART / "files" / "crds" / "webhookendpoints.yaml").read_text())
    assert render_set("local").one("CustomResourceDefinition", NAME)["spec"] == file["spec"]
