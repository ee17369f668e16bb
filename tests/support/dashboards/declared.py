"""What a query names: metrics and labels, and which of them are declared by whom."""

import re
from collections.abc import Iterator
from typing import Final

from support.cluster.rules import rules
from support.docs.metrics_page import METRICS

__all__ = ["FOREIGN", "OF_SCRAPES", "metrics_of", "unknown_labels"]

FOREIGN: Final = {
    "ALERTS": "Prometheus itself makes it of rules",
    "up": "Prometheus itself makes it of targets",
    "kube_horizontalpodautoscaler_status_current_replicas": "kube-state-metrics, on a cluster",
    "kube_horizontalpodautoscaler_status_desired_replicas": "kube-state-metrics, on a cluster",
    "kube_horizontalpodautoscaler_spec_max_replicas": "kube-state-metrics, on a cluster",
    "container_cpu_cfs_throttled_seconds_total": "the kubelet, on a cluster",
    "container_cpu_usage_seconds_total": "the kubelet, on a cluster",
    "keda_scaler_metrics_value": "KEDA, where it is installed",
}
"""Series that are not Forebay's, and who shows them."""

OF_SCRAPES: Final = frozenset({"pod", "job", "instance", "le"})
"""Labels that Prometheus adds when it scrapes, or that a histogram has."""

_OF_FOREIGN: Final = frozenset(
    {"alertname", "alertstate", "severity", "horizontalpodautoscaler", "scaledObject"}
)

_NAME: Final = re.compile(
    r"\b(forebay[_:][a-zA-Z0-9_:]*|ALERTS|up|kube_[a-z_]+|container_[a-z_]+|keda_[a-z_]+)\b(?!\s*[=(])"
)


def metrics_of(expr: str) -> set[str]:
    """Return the names of all series that a query asks for."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', expr)))


def unknown_labels(expr: str) -> set[str]:
    """Return labels by which a query selects or groups and that none of its series have."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"\"", bare))
    for labels in re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", bare):
        named |= {each.strip() for each in labels.split(",") if each.strip()}
    known = set(OF_SCRAPES)
    for name in metrics_of(expr):
        known |= set(_labels(name))
    return named - known


def _labels(name: str) -> Iterator[str]:
    """Yield the labels of a series, or those that rules give to a record."""
    if name in FOREIGN:
        yield from _OF_FOREIGN
        yield from ("namespace", "endpoint", "destination")
    elif ":" in name:
        for rule in rules():
            if rule.get("record") == name:
                yield from rule.get("labels", {})
                for each in metrics_of(rule["expr"]):
                    if each != name:
                        yield from _labels(each)
    else:
        bare = re.sub(r"_(bucket|sum|count)$", "", name)
        for metric in (metric for metrics in METRICS.values() for metric in metrics):
            if metric.name in {name, bare}:
                yield from metric.labels
