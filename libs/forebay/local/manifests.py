"""Reads manifests from files: WebhookEndpoint and Secret, as a cluster takes them.

Every problem of every file is reported at once, one line each: file, line, field and what to do.
YAML's traps are refused here as a cluster's tools refuse them: a key that stands twice, and keys
that are not text.
"""

import base64
import binascii
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.core.field_types import SecretKey, label
from forebay.core.field_types import SecretName as SecretNameText
from forebay.core.resource import API_VERSION, KIND, WebhookEndpoint, parse_endpoint
from forebay.core.validation_errors import InvalidEndpoint, Problem, explain
from forebay.core.validation_errors import Path as FieldPath
from forebay.local.secret_sources import LocalSecrets, SecretName

__all__ = ["InvalidManifests", "Manifests", "load_manifests", "manifest_files"]

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})


class InvalidManifests(ConfigurationError):  # noqa: N818  # named for what it is about
    """Manifests that cannot be used; every problem has a line of the message."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Keep the lines, of which there is at least one."""
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """One document of a file."""

    file: Path
    node: yaml.Node
    content: Mapping[str, object]

    def line(self, path: FieldPath) -> int:
        """Return the line on which a field stands, or that of the nearest record around it."""
        node = self.node
        number = node.start_mark.line + 1
        for part in path:
            key, child = _child(node, part)
            if key is None or child is None:
                break
            node, number = child, key.start_mark.line + 1
        return number

    def describe(self, problem: Problem) -> str:
        """Return a problem with its place."""
        return f"{self.file}:{self.line(problem.path)}: {problem.line}"


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None, None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """All that the files hold, checked one by one."""

    endpoints: tuple[WebhookEndpoint, ...]
    secrets: LocalSecrets
    _places: Mapping[str, _Document]

    def describe(self, problem: Problem) -> str:
        """Return a problem of one of the endpoints, with its file and line."""
        return self._places[problem.endpoint].describe(problem)


def manifest_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files to read: those given, and the YAML and JSON files of the folders given.

    Raises:
        ConfigurationError: where a path is not there, or a folder holds no such file.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
            if not found:
                message = f"{path} holds no .yaml, .yml or .json file: put a WebhookEndpoint there"
                raise ConfigurationError(message)
            files += found
        elif path.exists():
            files.append(path)
        else:
            message = f"{path} is not there: give a manifest, or a folder with some"
            raise ConfigurationError(message)
    return list(dict.fromkeys(files))


def load_manifests(paths: Sequence[Path], environment: Mapping[str, str]) -> Manifests:
    """Read all manifests.

    Args:
        paths: Files and folders.
        environment: Where secrets may come from besides Secret manifests.

    Raises:
        InvalidManifests: with every problem of every file.
        ConfigurationError: where there is nothing to read.
    """
    reading = _Reading()
    for file in manifest_files(paths):
        reading.read(file)
    if reading.problems:
        raise InvalidManifests(reading.problems)
    if not reading.endpoints:
        names = ", ".join(str(path) for path in paths)
        message = f"there is no WebhookEndpoint in {names}: see examples/ for one"
        raise ConfigurationError(message)
    return Manifests(
        endpoints=tuple(reading.endpoints[name] for name in sorted(reading.endpoints)),
        secrets=LocalSecrets(reading.secrets, environment),
        _places=reading.places,
    )


@dataclass(slots=True)
class _Reading:
    """What was found so far."""

    endpoints: dict[EndpointName, WebhookEndpoint] = field(default_factory=dict)
    secrets: dict[SecretName, Mapping[str, str]] = field(default_factory=dict)
    places: dict[str, _Document] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def read(self, file: Path) -> None:
        """Read one file."""
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            self.problems.append(f"{file}: cannot be read: {error.strerror}")
            return
        except UnicodeDecodeError:
            self.problems.append(f"{file}: is not text in UTF-8")
            return
        try:
            for document in _documents(file, text):
                self._take(document)
        except RecursionError:
            self.problems.append(f"{file}: is not YAML that can be read: it is nested too deeply")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f":{mark.line + 1}" if mark is not None else ""
            self.problems.append(f"{file}{place}: is not YAML that can be read: {error.problem}")
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            self.problems.append(f"{file}: is not YAML that can be read: {reason}")

    def _take(self, document: _Document) -> None:
        match document.content.get("apiVersion"), document.content.get("kind"):
            case str(version), "WebhookEndpoint" if version == API_VERSION:
                self._take_endpoint(document)
            case "v1", "Secret":
                self._take_secret(document)
            case version, kind:
                self._refuse(document, *_of_no_kind(version, kind))

    def _take_endpoint(self, document: _Document) -> None:
        try:
            endpoint = parse_endpoint(document.content)
        except InvalidEndpoint as error:
            self.problems += [document.describe(problem) for problem in error.problems]
            return
        name = endpoint.endpoint
        if name in self.endpoints:
            self._refuse_twice(document, str(name), self.places[str(name)])
            return
        self.endpoints[name] = endpoint
        self.places[str(name)] = document

    def _take_secret(self, document: _Document) -> None:
        try:
            secret = _Secret.model_validate(document.content)
        except ValidationError as error:
            problems = explain(error, _Secret, "", {})
            self.problems += [document.describe(problem) for problem in problems]
            return
        name = SecretName(secret.metadata.namespace, secret.metadata.name)
        title = f"Secret {name.namespace}/{name.name}"
        if name in self.secrets:
            self._refuse_twice(document, title, self.places[title])
            return
        self.secrets[name] = secret.values()
        self.places[title] = document

    def _refuse_twice(self, document: _Document, title: str, first: _Document) -> None:
        self._refuse(
            document,
            ("metadata", "name"),
            f"{title} stands in {first.file}:{first.line(())} too: remove one of them",
        )

    def _refuse(self, document: _Document, path: FieldPath, reason: str) -> None:
        self.problems.append(document.describe(Problem("", path, reason)))


_VERSIONS: Final[Mapping[str, str]] = {KIND: API_VERSION, "Secret": "v1"}
"""The kinds that are read, each with its `apiVersion`."""


def _of_no_kind(version: object, kind: object) -> tuple[FieldPath, str]:
    """Return at which field, and why, a document is none that can be read."""
    takes = " and ".join(f"{each} ({of})" for each, of in _VERSIONS.items())
    if kind is None or version is None:
        field = "kind" if kind is None else "apiVersion"
        return (field,), f"this field is missing: `forebay run` takes {takes}"
    if isinstance(kind, str) and kind in _VERSIONS:  # a list cannot be looked up
        return ("apiVersion",), f"{kind} is of `{_VERSIONS[kind]}` here: write that"
    near = difflib.get_close_matches(str(kind).lower(), map(str.lower, _VERSIONS), n=1)
    if near:
        meant = next(each for each in _VERSIONS if each.lower() == near[0])
        return ("kind",), f"there is no such kind: did you mean `{meant}`?"
    return (
        "kind",
    ), f"`forebay run` takes {takes} only, not {kind} ({version}): remove this document"


def _check_keys(node: yaml.Node) -> None:
    """Refuse what a cluster's tools refuse: a key that stands twice, or that is not text."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _check_keys(child)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, child in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.tag != "tag:yaml.org,2002:str":
            problem = f"the key {key.value!r} is not text here: put it in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        if key.value in seen:
            problem = f"the key {key.value!r} stands here twice: remove one"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        seen.add(key.value)
        _check_keys(child)


def _documents(file: Path, text: str) -> Iterator[_Document]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            _check_keys(node)
            try:
                content = loader.construct_document(node)
            except ValueError:  # of `datetime` and `int`: 2026-02-30, 0b_
                problem = "it holds a date or a number that is none: put that in quotes"
                mark = node.start_mark
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark) from None
            if content is None:
                continue  # nothing between two lines of `---`
            if not isinstance(content, dict):
                problem = "a manifest starts with `apiVersion` and `kind`"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
            yield _Document(file=file, node=node, content=content)
    finally:
        loader.dispose()


# --- Secrets -------------------------------------------------------------------------------------


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        message = "this is not base64 of text: correct it, or write the text under `stringData`"
        raise ValueError(message) from None


class _SecretMetadata(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, hide_input_in_errors=True)

    name: SecretNameText
    namespace: Annotated[str, label(63)] = "default"


class _Secret(BaseModel):
    """A Secret as Kubernetes has it."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    api_version: Annotated[Literal["v1"], Field(alias="apiVersion")]
    kind: Literal["Secret"]
    metadata: _SecretMetadata
    type: str = "Opaque"
    immutable: bool = False
    data: dict[SecretKey, Annotated[str, AfterValidator(_decoded)]] = {}
    string_data: Annotated[dict[SecretKey, str], Field(alias="stringData")] = {}

    def values(self) -> dict[str, str]:
        """Return all keys; `stringData` wins over `data`, as in a cluster."""
        return {**self.data, **self.string_data}
