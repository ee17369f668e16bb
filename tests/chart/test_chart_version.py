"""Package, images and chart share one version."""

import yaml

import forebay
from support.cluster.chart import CHART, render


def test_the_charts_version_is_the_packages() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (forebay.__version__, forebay.__version__)


def test_images_are_of_that_version_where_no_tag_is_given() -> None:
    rendered = render({"host": "hooks.example.com", "image": {"registry": "registry.example.com"}})
    deployment = rendered.one("Deployment", "acme-forebay-receivers")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.com/forebay-receiver:{forebay.__version__}"


def test_a_digest_wins_over_the_tag() -> None:
    digest = "sha256:" + "0" * 64
    rendered = render({"host": "a.example.com", "operator": {"image": {"digest": digest}}})
    deployment = rendered.one("Deployment", "acme-forebay-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"forebay-operator@{digest}"
