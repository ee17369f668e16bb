"""values.yaml and its schema: all there is, explained, read by a template, and nothing else."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python as helm
import pytest
import yaml

from support.cluster.chart import CHART, render

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
LOCAL: dict[str, Any] = yaml.safe_load((CHART / "ci" / "local-values.yaml").read_text())


def records(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every record of the schema with its path."""
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        yield path, schema
        for key, each in schema["properties"].items():
            yield from records(each, f"{path}.{key}")
    elif "items" in schema:
        yield from records(schema["items"], f"{path}[]")


def leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from leaves(value[0], (*path, key))
        else:
            yield (*path, key)


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, as Helm lays values over values."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = merged(old or {}, value) if both else value
    return result


def test_no_record_of_the_schema_takes_a_key_that_it_does_not_know() -> None:
    for path, schema in records(SCHEMA):
        assert schema["additionalProperties"] is False, path


def test_every_value_is_in_the_schema_and_every_key_of_the_schema_is_a_value() -> None:
    known = {path for path, _ in records(SCHEMA)}
    for path, schema in records(SCHEMA):
        values: Any = VALUES
        for key in path.replace("[]", ".0").split(".")[1:]:
            try:
                values = values[int(key)] if isinstance(values, list) else values[key]
            except (IndexError, KeyError):
                break  # what a list could hold, or a choice such as a container's limits
        else:
            extra = {"global"} if not path else set()
            absent = {"cpu"} if path.endswith("limits") else set()
            # What the record may hold and a value has not is explained at the record.
            assert schema["properties"].keys() - values.keys() <= extra | absent | {"replicas"}, (
                path
            )
            assert values.keys() <= schema["properties"].keys(), path
    assert known


def test_every_value_is_explained() -> None:
    explained = False
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith(("#", "- name:")) or not text:
            explained = explained or text.startswith("# -- ")
            continue
        is_group = text.endswith(":")
        indented_under_explained = text.startswith(("requests:", "limits: { memory", "nginx."))
        if not is_group and not indented_under_explained:
            assert explained, f"nothing is said about {text!r}"
        if not is_group or not text.startswith(("resources:", "annotations:")):
            explained = False


def test_every_value_is_read_by_a_template() -> None:
    templates = "\n".join(
        path.read_text()
        for path in (CHART / "templates").rglob("*")
        if path.suffix in {".yaml", ".tpl", ".txt"}
    )
    whole = {"resources", "limits", "requests", "labels", "annotations"}  # handed on as they are
    for path in leaves(VALUES):
        if not whole & set(path[:-1]):
            assert re.search(rf"\.{path[-1]}\b", templates), ".".join(path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hosts": "a.example.com"}, "additional properties 'hosts' not allowed"),
        ({"nats": {"replicas": 2}}, "/nats/replicas"),
        ({"nats": {"syncInterval": "sometimes"}}, "/nats/syncInterval"),
        ({"nats": {"lameDuckSeconds": 10}}, "/nats/lameDuckSeconds"),
        ({"nats": {"external": {"url": "http://nats:4222"}}}, "/nats/external/url"),
        ({"nats": {"external": {"url": "nats://user:secret@nats:4222"}}}, "/nats/external/url"),
        ({"host": "under_score.example.com"}, "/host"),
        ({"host": "hooks.example.com:8443"}, "/host"),
        ({"isolation": "dedicated"}, "/isolation"),
        ({"receivers": {"image": {"tag": "v1"}}}, "additional properties 'tag' not allowed"),
        ({"receivers": {"env": {"lower": "x"}}}, "'lower' not allowed"),
        ({"receivers": {"resources": {"limits": {"cpus": 1}}}}, "'cpus' not allowed"),
        ({"processors": {"replicas": 17}}, "/processors/replicas"),
        ({"processors": {"autoscaling": {"max": 17}}}, "/processors/autoscaling/max"),
        ({"processors": {"allowedNetworks": ["10.0.0.0"]}}, "/processors/allowedNetworks/0"),
        ({"fullnameOverride": "a" * 41}, "/fullnameOverride"),
        ({"shards": []}, "/shards"),
        ({"tables": {"count": 65}}, "/tables/count"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_a_value_that_cannot_be_is_refused_by_its_path(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        render(merged(LOCAL, values))
    assert said in str(refused.value)


def shard(name: str = "0", **changes: object) -> dict[str, object]:
    return {**VALUES["shards"][0], "name": name, **changes}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"host": ""}, "host is missing: give the public host"),
        ({"receivers": {"terminationGracePeriodSeconds": 10}}, "preStopSeconds + drainSeconds + 5"),
        ({"processors": {"stopSeconds": 25}}, "at least stopSeconds + 10"),
        ({"receivers": {"shared": {"autoscaling": {"min": 9}}}}, "raise max or lower min"),
        (
            {"processors": {"autoscaling": {"min": 9}}},
            "processors.autoscaling.min is above max: raise max or lower min",
        ),
        (
            {"isolation": "Shared", "receivers": {"shared": {"enabled": False}}},
            "set receivers.shared.enabled=true or isolation=Dedicated",
        ),
        ({"shards": [shard(replicas=3)]}, "lower its replicas or raise nats.replicas"),
        ({"shards": [shard(), shard()]}, 'two shards are called "0"'),
        (
            {"shards": [shard()]},
            "the streams of all shards take 8321 MiB and nats.storeMiB is 2048",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        render(merged(LOCAL, values))
    assert said in str(refused.value)


def test_all_that_does_not_fit_is_reported_at_once() -> None:
    with pytest.raises(helm.HelmError) as refused:
        render(merged(LOCAL, {"host": "", "processors": {"stopSeconds": 25}}))
    assert str(refused.value).count("\n- ") == 2
