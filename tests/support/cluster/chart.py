"""The chart, rendered by Helm's own engine as `helm install` would; needs no cluster."""

import base64
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import yaml
from lightkube import codecs
from lightkube.generic_resource import create_namespaced_resource

from forebay_operator.settings.config import OperatorConfig, read_config

__all__ = [
    "CHART",
    "NAMESPACE",
    "RELEASE",
    "VALUE_SETS",
    "Manifest",
    "Rendered",
    "operator_config",
    "render",
    "render_set",
    "strictly_typed",
]

CHART: Final = Path(__file__).parents[3] / "charts" / "forebay"

VALUE_SETS: Final = {
    path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*.yaml"))
}
"""Sets of values that the chart ships for its tests, by name."""

RELEASE: Final = "acme"
NAMESPACE: Final = "webhooks"
"""Unlike the chart's name, so that a template that takes one for the other is found out."""

Manifest = dict[str, Any]

# Kinds of others, which no schema of Kubernetes' own judges: tests of their own do.
for _kind in ("PodMonitor", "PrometheusRule"):
    create_namespaced_resource("monitoring.coreos.com", "v1", _kind, f"{_kind.lower()}s")


class Rendered:
    """All objects that one set of values makes."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read what the engine made of each template."""
        self.notes = next((text for name, text in files.items() if name.endswith("NOTES.txt")), "")
        self.objects: list[Manifest] = [
            document
            for name, text in sorted(files.items())
            if name.endswith(".yaml")
            for document in yaml.safe_load_all(text)
            if document is not None
        ]

    def of_kind(self, kind: str) -> list[Manifest]:
        """Return all objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """Return the object with this name; an error where it is not there."""
        found = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects {kind} {name}"
        return found[0]

    def names(self, kind: str) -> set[str]:
        """Return the names of all objects of a kind."""
        return {each["metadata"]["name"] for each in self.of_kind(kind)}

    def pods(self) -> Iterator[tuple[str, Manifest, Manifest]]:
        """Yield name, pod labels and pod spec of everything that runs."""
        for each in self.objects:
            name = f"{each['kind']}/{each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield name, each["metadata"]["labels"], each["spec"]
            elif each["kind"] in {"Deployment", "StatefulSet", "Job"}:
                template = each["spec"]["template"]
                yield name, template["metadata"]["labels"], template["spec"]

    def secret(self, name: str) -> dict[str, str]:
        """Return what a Secret holds."""
        data = self.one("Secret", name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}


def render(values: Mapping[str, Any], *, release: str = RELEASE) -> Rendered:
    """Render the chart as a first install; raises helm_python.HelmError where Helm refuses."""
    with helm.Chart.load(CHART) as chart:
        return Rendered(chart.render(dict(values), name=release, namespace=NAMESPACE))


@cache
def render_set(name: str) -> Rendered:
    """Render one of the shipped sets of values."""
    return render(yaml.safe_load(VALUE_SETS[name].read_text()))


def operator_config(rendered: Rendered, folder: Path) -> OperatorConfig:
    """Return what the operator reads from its file, which is written into a folder for that."""
    (found,) = [each for each in rendered.of_kind("ConfigMap") if "operator.yaml" in each["data"]]
    file = folder / "operator.yaml"
    file.write_text(found["data"]["operator.yaml"])
    return read_config(file)


def strictly_typed(manifest: Manifest) -> object:
    """Return the object as its typed kind, made from Kubernetes' own schemas.

    A field of the wrong type does not get through the reader; one that the kind does not have is
    dropped by it, so what is written again has to be what was read.
    """
    typed = codecs.from_dict(manifest)
    kept = typed.to_dict()  # type: ignore[no-untyped-call]  # lightkube's own method has no types
    lost = list(_lost(manifest, kept))
    assert not lost, f"{manifest['kind']} {manifest['metadata']['name']} has no such fields: {lost}"
    return typed


def _lost(given: object, kept: object, path: str = "") -> Iterator[str]:
    """Yield the paths of what was given and is not there any more, or is something else."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            # A field that is null stands for nothing.
            if value is not None:
                yield from _lost(value, kept.get(key), f"{path}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from _lost(one, other, f"{path}[{number}]")
    elif given != kept:
        yield f"{path}: {given!r} became {kept!r}"
