"""Every rule is read by the real promtool, and every alert begins and ends as it should."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.cluster.chart import render_set
from support.cluster.rules import FILES, alerts, check, groups, rules, try_rules, well_series
from support.docs.metrics_page import METRICS, sample_names

RUNBOOKS: Final = Path(__file__).parents[2] / "docs" / "runbooks"

PATHS: Final = {
    "receivers": {"readyz", "routes", "load", "metrics"},
    "dedicated-receiver": {"readyz", "routes", "load", "metrics"},
    "processors": {"readyz", "routes", "load", "breakers", "destinations", "metrics"},
    "operator": {"readyz", "metrics"},
}
"""What can be asked on the ports for operators."""

NAMES = sorted({rule["alert"] for rule in alerts()})


def cases_of(name: str) -> dict[str, Any]:
    tests: dict[str, Any] = yaml.safe_load((FILES / f"{name}.yaml").read_text())
    return tests


@pytest.mark.parametrize("availability", [None, 0.99995], ids=["shipped", "strict"])
def test_promtool_finds_nothing_to_mend(availability: float | None, tmp_path: Path) -> None:
    assert "SUCCESS" in check(groups(availability), tmp_path)


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(test, id=f"{name}: {test['name']}")
        for name in NAMES
        for test in cases_of(name)["tests"]
    ],
)
def test_alert_fires_when_it_should_and_no_other(test: dict[str, Any], tmp_path: Path) -> None:
    assert "SUCCESS" in try_rules(test, tmp_path)


@pytest.mark.parametrize("test", cases_of("objectives")["tests"], ids=lambda test: test["name"])
def test_records_are_what_a_hand_reckons(test: dict[str, Any], tmp_path: Path) -> None:
    assert "SUCCESS" in try_rules(test, tmp_path)


def expected() -> list[tuple[str, dict[str, str]]]:
    """Return every alert that a test expects, with its labels."""
    return [
        (asked["alertname"], each["exp_labels"])
        for name in NAMES
        for test in cases_of(name)["tests"]
        for asked in test["alert_rule_test"]
        for each in asked["exp_alerts"]
    ]


def test_every_rule_of_an_alert_is_seen_to_fire() -> None:
    fired = expected()
    for rule in alerts():
        own = rule["labels"].items()
        assert any(name == rule["alert"] and own <= labels.items() for name, labels in fired), rule


def test_every_alert_is_seen_to_begin_and_to_end() -> None:
    for name in NAMES:
        seen = [
            [bool(each["exp_alerts"]) for each in asked if each["alertname"] == name]
            for asked in (test["alert_rule_test"] for test in cases_of(name)["tests"])
        ]
        assert any(True in each and not each[0] and not each[-1] for each in seen), name


def test_no_test_is_left_of_an_alert_that_is_gone() -> None:
    assert sorted(path.stem for path in FILES.glob("Forebay*.yaml")) == NAMES


def test_what_an_alert_says_names_labels_that_it_has() -> None:
    fired = expected()
    for rule in alerts():
        named = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        for name, labels in fired:
            if name == rule["alert"] and rule["labels"].items() <= labels.items():
                assert named <= labels.keys(), (name, named)


def test_every_alert_says_how_urgent_it_is_what_it_costs_and_where_to_read_on() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"].endswith(f"/{rule['alert']}.md")
        assert all(rule["annotations"].values())


def test_every_metric_of_a_rule_is_declared_and_every_record_is_made() -> None:
    known = sample_names()
    made = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        named = set(re.findall(r"\bforebay_\w+", re.sub(r'"[^"]*"', "", rule["expr"])))
        assert named <= known, rule
        assert set(re.findall(r"\bforebay:[\w:]+", rule["expr"])) <= made, rule


def test_the_labels_that_a_rule_selects_by_are_declared() -> None:
    labels = {metric.name: set(metric.labels) for each in METRICS.values() for metric in each}
    for rule in rules():
        for name, selector in re.findall(r"\b(forebay_\w+)\{([^}]*)\}", rule["expr"]):
            of = labels.get(name, labels.get(re.sub(r"_(bucket|sum|count)$", "", name), set()))
            assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selector)) <= of | {"le"}, (
                name,
                selector,
            )


def test_the_edges_of_buckets_that_rules_ask_for_are_there() -> None:
    edges = {
        f"{metric.name}_bucket": {str(float(edge)) for edge in metric.buckets}
        for each in METRICS.values()
        for metric in each
    }
    asked = [
        found
        for rule in rules()
        for found in re.findall(r'\b(forebay_\w+)\{le="([^"]+)"\}', rule["expr"])
    ]
    assert asked
    for name, edge in asked:
        assert edge in edges[name], (name, edge)


def test_series_of_the_good_day_are_those_of_the_parts() -> None:
    known = sample_names() | {"up"}
    for series, _ in well_series(60, 1):
        assert series.partition("{")[0] in known, series


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("Forebay*.md")) == NAMES
    index = (RUNBOOKS / "README.md").read_text()
    for name in NAMES:
        assert f"({name}.md)" in index, f"{name} is not in the index"


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_says_what_it_means_how_to_see_it_and_how_to_mend_it(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert titles == [name, "What it means", "How to see it", "How to fix it"]


def test_the_commands_of_runbooks_are_those_that_there_are() -> None:
    text = "\n".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
    verbs = set(re.findall(r"forebay dead (\w+)", text))
    assert verbs == {"ls", "show", "replay"}
    asked = set(re.findall(r"^ask ([\w-]+) (\w+)", text, re.MULTILINE))
    assert asked <= {(part, path) for part, paths in PATHS.items() for path in paths}
    deployments = set(re.findall(r"deploy(?:ment)?/([\w-]+)", text))
    made = {each["metadata"]["name"] for each in render_set("local").of_kind("Deployment")}
    assert {name.replace("forebay", "acme-forebay") for name in deployments} <= made
    for name in re.findall(r"\bforebay_(?:receiver|processor|operator|stream)_\w+", text):
        assert name in sample_names(), name


def test_the_queries_of_runbooks_can_be_asked(tmp_path: Path) -> None:
    queries = [
        query
        for path in RUNBOOKS.glob("*.md")
        for query in re.findall(r"```promql\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    made = {rule["record"] for rule in rules() if "record" in rule}
    for query in queries:
        assert set(re.findall(r"\bforebay:[\w:]+", query)) <= made, query
    records = [{"record": f"query{number}", "expr": each} for number, each in enumerate(queries)]
    assert f"{len(records)} rules found" in check([{"name": "queries", "rules": records}], tmp_path)


def test_the_commands_of_runbooks_are_ones_that_a_shell_can_read() -> None:
    for path in RUNBOOKS.glob("*.md"):
        for commands in re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL):
            run = subprocess.run(["bash", "-n"], input=commands, text=True, check=False)
            assert run.returncode == 0, f"{path.name}: {commands}"
