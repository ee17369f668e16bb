"""The chart's Prometheus rules, and promtool, which tries them on series that are made up.

A file of `tests/data/rules` is one of promtool's unit tests, about one alert, and says only what is
different from a day on which all is well: series of its own stand in the place of those of `_WELL`
with the same labels, `without` (patterns of series) leaves some of them out, `evaluation_interval`
is a test's own. At every time that it asks about, every alert that it does not name has to be
silent.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from support.cluster.chart import render

__all__ = [
    "FILES",
    "alerts",
    "check",
    "groups",
    "prometheus_program",
    "rules",
    "try_rules",
    "well_series",
]

FILES: Final = Path(__file__).parents[2] / "data" / "rules"

_SCALE: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Rule = dict[str, Any]

_Series = tuple[str, str, int]
"""A series, its first value, and by how much it grows in a minute."""


def prometheus_program(name: str) -> str:
    """Return `prometheus` or `promtool`: of the PATH, this environment, or the test cluster."""
    folders = (Path(sys.executable).parent, Path.home() / ".cache" / "cluster" / "bin")
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    assert found, f"{name} is missing: install Prometheus (Debian and Ubuntu: `make chart-tools`)"
    return found


@cache
def groups(availability: float | None = None) -> tuple[dict[str, Any], ...]:
    """Return the groups of the rendered PrometheusRule, with another objective if one is given."""
    given: dict[str, Any] = {"rules": {"create": "Always"}}
    if availability is not None:
        given["objectives"] = {"availability": availability}
    rendered = render({"host": "hooks.example.com", "monitoring": given})
    (rule,) = rendered.of_kind("PrometheusRule")
    return tuple(rule["spec"]["groups"])


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, with the values as shipped."""
    return tuple(rule for group in groups() for rule in group["rules"])


def alerts() -> list[Rule]:
    """Return the rules that are alerts; some alerts have several."""
    return [rule for rule in rules() if "alert" in rule]


def check(made: Iterable[dict[str, Any]], folder: Path) -> str:
    """Return what `promtool check rules` says of groups, written into a folder for that."""
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": list(made)}))
    return _run("check", "rules", "--lint=all", "--lint-fatal", str(file))


def try_rules(test: Mapping[str, Any], folder: Path) -> str:
    """Return what `promtool test rules` says of one test of a file of `FILES`."""
    bare = [{**each, "rules": [_bare(rule) for rule in each["rules"]]} for each in groups()]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": bare}))
    whole = {
        "rule_files": ["rules.yaml"],
        # Else their order is chance, and what an alert reads may be of the evaluation before.
        "group_eval_order": [each["name"] for each in bare],
        "evaluation_interval": test.get("evaluation_interval", "1m"),
        "tests": [_on_a_good_day(test, {rule["alert"] for rule in alerts()})],
    }
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump(whole))
    return _run("test", "rules", str(file))


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [prometheus_program("promtool"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _bare(rule: Rule) -> Rule:
    """Return a rule without its annotations, which promtool would want in every test."""
    return {key: value for key, value in rule.items() if key != "annotations"}


def _on_a_good_day(test: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a test with all series there are, and every other alert silent."""
    asked: list[dict[str, Any]] = test["alert_rule_test"]
    times = sorted({each["eval_time"] for each in asked}, key=_seconds)
    known = {(each["eval_time"], each["alertname"]) for each in asked}
    silent = [
        {"eval_time": time, "alertname": name, "exp_alerts": []}
        for time in times
        for name in sorted(names)
        if (time, name) not in known
    ]
    queries: list[dict[str, Any]] = test.get("promql_expr_test", [])
    last = max(_seconds(each["eval_time"]) for each in (*asked, *queries))
    step = _seconds(test["interval"])
    own = {each["series"]: each for each in test.get("input_series", [])}
    gone = [re.compile(pattern) for pattern in test.get("without", [])]
    well = [
        {"series": series, "values": values}
        for series, values in well_series(step, last // step + 1)
        if series not in own and not any(pattern.search(series) for pattern in gone)
    ]
    return {
        "name": test["name"],
        "interval": test["interval"],
        "input_series": [*well, *own.values()],
        "alert_rule_test": [*asked, *silent],
        "promql_expr_test": queries,
    }


def _seconds(text: str) -> int:
    return sum(int(count) * _SCALE[unit] for count, unit in re.findall(r"(\d+)([smhd])", text))


def well_series(step: int, count: int) -> Iterator[tuple[str, str]]:
    """Yield the series of a day on which all is well, as promtool writes them.

    Args:
        step: Seconds between two samples.
        count: How many samples.
    """
    for series, first, growth in _WELL:
        yield series, f"{first}{growth * step / 60:+g}x{count}"


def _counted(name: str, labels: str, le: tuple[str, ...], growth: int) -> list[_Series]:
    """Return a histogram all of whose observations are in its first bucket."""
    edges = (*le, "+Inf")
    buckets = [(f'{name}_bucket{{{labels},le="{edge}"}}', "0", growth) for edge in edges]
    return [*buckets, (f"{name}_count{{{labels}}}", "0", growth)]


_SHOP: Final = 'namespace="acme",endpoint="shop"'
_CRM: Final = f'{_SHOP},destination="crm"'
_EDGES: Final = ("0.25", "1.0", "5.0")

_WELL: Final[tuple[_Series, ...]] = (
    # 600 webhooks a minute at one endpoint, one in ten minutes at another.
    (f'forebay_receiver_requests_total{{{_SHOP},outcome="stored"}}', "0", 600),
    (f'forebay_receiver_requests_total{{{_SHOP},outcome="unavailable"}}', "0", 0),
    ('forebay_receiver_requests_total{namespace="",endpoint="",outcome="stored"}', "0", 0),
    ('forebay_receiver_requests_total{namespace="",endpoint="",outcome="refused"}', "0", 30),
    (f"forebay_receiver_last_webhook_timestamp_seconds{{{_SHOP}}}", "0", 60),
    *_counted("forebay_receiver_ack_seconds", 'pool="receiver"', _EDGES, 600),
    ("forebay_receiver_nats_connected{}", "1", 0),
    *_counted("forebay_receiver_loop_lag_seconds", 'pool="receiver"', ("0.01", "0.1", "1.0"), 240),
    (f'forebay_processor_attempts_total{{{_CRM},result="delivered"}}', "0", 600),
    (f'forebay_processor_attempts_total{{{_CRM},result="failed"}}', "0", 0),
    (f'forebay_processor_deliveries_total{{{_CRM},outcome="delivered"}}', "0", 600),
    *_counted("forebay_processor_end_to_end_seconds", 'pool="processor"', _EDGES, 600),
    (f"forebay_processor_breaker_open{{{_CRM}}}", "0", 0),
    (f"forebay_processor_parked_items{{{_CRM}}}", "0", 0),
    *(
        (f'forebay_processor_{name}{{pool="processor",kind="{kind}",pod="{pod}"}}', "8", 0)
        for name in ("partitions_owned", "takeovers_total")
        for kind in ("raw", "event")
        for pod in ("one", "two")
    ),
    *(
        (f'forebay_processor_oldest_item_seconds{{pool="processor",lane="{lane}"}}', "0", 0)
        for lane in ("live", "status", "bulk", "invalid")
    ),
    ('forebay_processor_unsplit_age_ratio{pool="processor",shard="0"}', "0", 0),
    *_counted(
        "forebay_processor_loop_lag_seconds", 'pool="processor"', ("0.01", "0.1", "1.0"), 240
    ),
    ("forebay_operator_watch_age_seconds{}", "5", 0),
    ("forebay_operator_nats_certificate_end_timestamp_seconds{}", "99999999", 0),
    (f"forebay_operator_certificate_end_timestamp_seconds{{{_SHOP}}}", "99999999", 0),
    (f"forebay_operator_secret_changed_timestamp_seconds{{{_SHOP}}}", "0", 0),
    ("forebay_operator_queue_items{}", "0", 0),
    ('forebay_operator_reconciles_total{result="ok"}', "0", 12),
    ('forebay_operator_reconciles_total{result="failed"}', "0", 0),
    ('forebay_operator_endpoints{condition="Accepted",status="True"}', "2", 0),
    ('forebay_operator_endpoints{condition="Ready",status="True"}', "2", 0),
    ('forebay_operator_endpoints{condition="Ready",status="False"}', "0", 0),
    *_counted("forebay_operator_loop_lag_seconds", 'pool="operator"', ("0.01", "0.1", "1.0"), 240),
    *(
        (f'forebay_stream_fill_ratio{{stream="FOREBAY_{stream}_0"}}', "0.4", 0)
        for stream in ("RAW", "EVENTS", "RETRY", "DEAD")
    ),
    *(
        (f'forebay_stream_missing_replicas{{stream="FOREBAY_{stream}_0"}}', "0", 0)
        for stream in ("RAW", "EVENTS", "RETRY", "DEAD")
    ),
    *(
        (f'up{{job="webhooks/acme-forebay-{part}",pod="{part}-1"}}', "1", 0)
        for part in ("receivers", "processors", "operator")
    ),
)
