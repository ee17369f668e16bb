"""The chart grants the operator what its table of kinds needs in its own namespace, and no more."""

from collections.abc import Iterator

from forebay_operator.models.kinds import KINDS, VERBS
from support.cluster.chart import Rendered

PODS = {("", "pods", verb) for verb in ("get", "list", "watch", "patch")}
"""The one kind that it does not make."""


def rights(rendered: Rendered) -> Iterator[tuple[str, str, str]]:
    """Yield group, plural and verb of all that the operator's Role grants."""
    (role,) = rendered.of_kind("Role")
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield group, resource, verb


def test_the_operator_may_what_its_kinds_need_and_no_more(rendered: Rendered) -> None:
    granted = list(rights(rendered))
    needed = {(each.group, each.plural, verb) for each in KINDS for verb in VERBS} | PODS
    assert set(granted) == needed
    assert len(granted) == len(needed)
