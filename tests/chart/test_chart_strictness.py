"""The judge itself: a field that no kind has, or of the wrong type, is found."""

import copy

import msgspec
import pytest

from support.cluster.chart import render_set, strictly_typed


def test_a_misspelt_field_is_found() -> None:
    manifest = copy.deepcopy(render_set("local").of_kind("Deployment")[0])
    manifest["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 30
    with pytest.raises(AssertionError, match="terminationGracePeriodSecond"):
        strictly_typed(manifest)


def test_a_value_of_the_wrong_type_is_found() -> None:
    manifest = copy.deepcopy(render_set("local").of_kind("Service")[0])
    manifest["spec"]["ports"][0]["port"] = "four"
    with pytest.raises(msgspec.ValidationError, match="port"):
        strictly_typed(manifest)
