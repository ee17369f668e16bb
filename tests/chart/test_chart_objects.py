"""Every object that the chart makes is what its kind says, with each set of values."""

from pathlib import Path

import helm_python as helm
import pytest

from support.cluster.chart import CHART, NAMESPACE, RELEASE, VALUE_SETS, Rendered, strictly_typed

CLUSTER_WIDE = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}


def test_every_object_is_valid_strictly(rendered: Rendered) -> None:
    for manifest in rendered.objects:
        strictly_typed(manifest)


def test_no_two_objects_have_one_name(rendered: Rendered) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered.objects]
    assert sorted(names) == sorted(set(names))


def test_every_object_is_in_the_namespace_of_the_release(rendered: Rendered) -> None:
    for each in rendered.objects:
        if each["kind"] not in CLUSTER_WIDE:
            assert each["metadata"]["namespace"] == NAMESPACE, each["metadata"]["name"]


def test_every_object_carries_the_common_labels(rendered: Rendered) -> None:
    for each in rendered.objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/part-of"] == "forebay"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_names_leave_room_for_what_stands_behind_them(rendered: Rendered) -> None:
    for each in rendered.objects:
        assert len(each["metadata"]["name"]) <= 63


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_lint_finds_nothing_to_mend(values: Path) -> None:
    with values.open() as file:
        found = helm.lint(str(CHART), helm.values_from_yaml(file.read()))
    assert not found["errors"]
    # An icon is for catalogues of charts.
    assert [each["error"] for each in found["messages"]] == ["icon is recommended"]
