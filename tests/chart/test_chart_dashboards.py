"""The dashboards: fresh, complete, of metrics that there are, bounded with a thousand endpoints."""

import json
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
import yaml

from support.cluster.chart import RELEASE, render, render_set
from support.cluster.rules import check, rules
from support.dashboards.declared import FOREIGN, metrics_of, unknown_labels
from support.dashboards.files import FOLDER, built, panels, queries, variables
from support.dashboards.filled import filled
from support.dashboards.overview import DANGERS
from support.docs.metrics_page import METRICS, OPTIONAL, sample_names

NAMES: Final = ("endpoint", "overview", "platform")

MOST_BYTES: Final = 200_000
"""Of a dashboard: a ConfigMap holds a mebibyte, and a release all of the chart's files."""


def dashboard(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return read


def test_the_files_are_what_the_code_makes(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        for file, text in built().items():
            file.write_text(text)
    assert {file: file.read_text() for file in FOLDER.iterdir()} == built(), "run `make generate`"


def test_each_dashboard_is_a_config_map_that_the_sidecar_finds() -> None:
    rendered = render({"host": "hooks.example.com"})
    for name in NAMES:
        made = rendered.one("ConfigMap", f"{RELEASE}-forebay-dashboard-{name}")
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert made["metadata"]["annotations"] == {"grafana_folder": "Forebay"}
        assert json.loads(made["data"][f"forebay-{name}.json"]) == dashboard(name)


def test_values_say_where_and_how_dashboards_are_found() -> None:
    found = [
        each["metadata"]
        for each in render_set("everything").of_kind("ConfigMap")
        if "-dashboard-" in each["metadata"]["name"]
    ]
    assert len(found) == len(NAMES)
    for metadata in found:
        assert metadata["labels"]["grafana_dashboard"] == "yes"
        assert metadata["annotations"] == {
            "example.com/note": "dashboards",
            "grafana_folder": "Webhooks",
        }


def test_dashboards_can_be_where_the_sidecar_looks() -> None:
    rendered = render(
        {
            "host": "hooks.example.com",
            "monitoring": {"dashboards": {"namespace": "grafana", "folder": ""}},
        }
    )
    for name in NAMES:
        made = rendered.one("ConfigMap", f"{RELEASE}-forebay-dashboard-{name}")
        assert made["metadata"]["namespace"] == "grafana"
        assert "annotations" not in made["metadata"]


def test_dashboards_can_be_turned_off() -> None:
    names = render_set("minimal").names("ConfigMap")
    assert names
    assert not any("dashboard" in name for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_is_small_enough_for_a_config_map(name: str) -> None:
    assert (FOLDER / f"{name}.json").stat().st_size < MOST_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(name: str) -> None:
    for panel in panels(dashboard(name)):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
        if panel["type"] in {"timeseries", "stat", "bargauge"}:
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_stand_beside_each_other_and_not_on_each_other(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard(name)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_dashboards_lead_to_each_other_to_traces_and_to_logs(name: str) -> None:
    shown = dashboard(name)
    assert "forebay" in shown["tags"]
    links = {link["title"]: link for link in shown["links"]}
    assert links["Forebay"]["type"] == "dashboards"
    assert links["Forebay"]["tags"] == ["forebay"]
    assert "${tempo}" in links["Traces"]["url"]
    assert "${loki}" in links["Logs"]["url"]
    for title, source in (("Logs", "loki"), ("Traces", "tempo")):
        panes = json.loads(unquote(links[title]["url"].partition("&panes=")[2]))
        (query,) = panes["a"]["queries"]
        assert query["datasource"] == {"type": source, "uid": f"${{{source}}}"}
        assert ("$endpoint" in json.dumps(query)) == (name == "endpoint")
    kinds = {each["name"]: each["type"] for each in shown["templating"]["list"]}
    assert kinds["datasource"] == kinds["loki"] == kinds["tempo"] == "datasource"
    assert ("endpoint" in kinds) == ("namespace" in kinds) == (name == "endpoint")


def test_a_row_about_an_endpoint_leads_to_its_dashboard() -> None:
    tables = [each for each in panels(dashboard("overview")) if each["type"] == "table"]
    assert len(tables) == 4
    for table in tables:
        text = json.dumps(table)
        assert "/d/forebay-endpoint?var-namespace=${__data.fields.namespace}" in text


def test_every_metric_that_a_panel_names_is_declared_and_every_record_is_made() -> None:
    known = sample_names() | FOREIGN.keys()
    made = {rule["record"] for rule in rules() if "record" in rule}
    for query in queries():
        assert metrics_of(query.expr) <= known | made, query
    for text in variables():
        assert metrics_of(text) <= known | made, text


def test_the_labels_that_a_panel_selects_and_groups_by_are_declared() -> None:
    for query in queries():
        assert not unknown_labels(query.expr), (query, unknown_labels(query.expr))


def test_the_labels_that_rules_runbooks_and_docs_name_are_declared() -> None:
    docs = Path(__file__).parents[2] / "docs"
    asked = [
        query
        for path in (*docs.glob("*.md"), *docs.glob("runbooks/*.md"))
        for query in re.findall(r"```promql\n(.*?)```", path.read_text(), re.DOTALL)
    ]
    assert asked
    for expr in (*(rule["expr"] for rule in rules()), *asked):
        assert not unknown_labels(expr), (expr, unknown_labels(expr))


def test_a_label_that_no_series_has_is_found() -> None:
    name = "forebay_receiver_requests_total"
    assert unknown_labels(f'sum by (outcome, phone) ({name}{{channel="1"}})') == {
        "phone",
        "channel",
    }
    assert not unknown_labels(f'sum by (outcome, pod) ({name}{{endpoint="shop"}})')


def test_every_metric_there_is_can_be_seen_on_a_dashboard() -> None:
    shown = " ".join(query.expr for query in queries())
    shown += " ".join(rule["expr"] for rule in rules() if rule.get("record", "") in shown)
    for metric in (
        metric for part, metrics in METRICS.items() if part not in OPTIONAL for metric in metrics
    ):
        assert metric.name in shown, metric.name


def test_every_danger_of_an_endpoint_has_words_for_people() -> None:
    made = {
        rule["labels"]["danger"]
        for rule in rules()
        if rule.get("record") == "forebay:endpoint_danger:ratio"
    }
    assert made == DANGERS.keys()


def test_what_is_by_endpoint_or_pod_is_bounded_where_all_are_shown() -> None:
    """A thousand endpoints or pods are no thousand lines."""
    for query in queries():
        if query.dashboard == "endpoint":
            continue
        by = {
            label
            for labels in re.findall(r"\bby \(([^)]*)\)", query.expr)
            for label in re.split(r"\s*,\s*", labels)
        }
        many = by & {"endpoint", "destination", "pod", "instance"}
        if many or "endpoint_danger" in query.expr:
            assert "topk(" in query.expr, query


def test_promtool_reads_every_query(tmp_path: Path) -> None:
    asked = [filled(query.expr) for query in queries()]
    records = [{"record": f"query{place}", "expr": each} for place, each in enumerate(asked)]
    assert f"{len(records)} rules found" in check([{"name": "q", "rules": records}], tmp_path)


def test_limits_of_the_providers_are_lines_in_the_panels_of_answers() -> None:
    for name in ("overview", "platform"):
        (panel,) = [
            each for each in panels(dashboard(name)) if each["title"] == "Time to the answer 200"
        ]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert [step["value"] for step in steps] == [None, 0.25, 1, 5]
        assert panel["fieldConfig"]["defaults"]["unit"] == "s"


def test_a_number_that_is_not_there_is_not_green() -> None:
    for name in NAMES:
        for panel in panels(dashboard(name)):
            if panel["type"] == "stat" and panel["options"]["colorMode"] != "none":
                first = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]
                assert first["value"] is None
                assert first["color"] != "green", panel["title"]


def test_dashboards_are_in_the_page_for_who_runs_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
    for name in NAMES:
        assert dashboard(name)["title"].removeprefix("Forebay / ") in page
    for rule in rules():
        if "alert" in rule:
            assert f"[{rule['alert']}](runbooks/{rule['alert']}.md)" in page, rule["alert"]


def test_the_values_of_dashboards_are_in_the_rendered_yaml() -> None:
    """What a sidecar reads is text that is JSON, whatever braces are in it."""
    made = render({"host": "hooks.example.com"}).of_kind("ConfigMap")
    texts = [each["data"] for each in made if "-dashboard-" in each["metadata"]["name"]]
    assert len(texts) == len(NAMES)
    for data in texts:
        (text,) = data.values()
        assert "{{" in text
        assert yaml.safe_load(text)["schemaVersion"]
