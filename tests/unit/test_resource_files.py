"""Reading manifests from files: what is taken, and where each problem is said to be."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from forebay.core.errors import ConfigurationError
from forebay.local.manifests import InvalidManifests, Manifests, load_manifests
from forebay.local.secret_sources import variable_name

ENDPOINT = """\
apiVersion: forebay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {namespace: demo, name: NAME}
spec:
  provider: meta
  authentication: {none: true}
  destinations:
    - name: log
      log: {}
"""

HEAD = """\
apiVersion: v1
kind: Secret
metadata: {namespace: demo, name: crm}
"""


def endpoint(name: str = "meta") -> str:
    return ENDPOINT.replace("NAME", name)


def load(*paths: Path, environment: Mapping[str, str] | None = None) -> Manifests:
    return load_manifests(paths, environment or {})


def refusal(*paths: Path) -> list[str]:
    with pytest.raises(InvalidManifests) as caught:
        load(*paths)
    return list(caught.value.lines)


def test_all_documents_of_all_files_of_a_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"---\n{endpoint('a')}---\n{endpoint('b')}---\n")
    (tmp_path / "c.yml").write_text(endpoint("c"))
    (tmp_path / "notes.txt").write_text("not a manifest")
    found = load(tmp_path)
    assert [str(each.endpoint) for each in found.endpoints] == ["demo/a", "demo/b", "demo/c"]


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(endpoint())
    assert len(load(tmp_path, tmp_path / "a.yaml").endpoints) == 1


def test_secrets_come_from_both_kinds_of_data(tmp_path: Path) -> None:
    encoded = base64.b64encode("grüße".encode()).decode()
    (tmp_path / "a.yaml").write_text(
        f"{endpoint()}---\n{HEAD}data: {{a: {encoded}, b: eA==}}\nstringData: {{b: plain}}\n",
    )
    secrets = load(tmp_path).secrets
    assert secrets("demo", "crm", "a") == "grüße"
    assert secrets("demo", "crm", "b") == "plain"


def test_the_environment_wins_over_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{endpoint()}---\n{HEAD}stringData: {{app-key: old}}\n")
    secrets = load(tmp_path, environment={"FOREBAY_SECRET_DEMO_CRM_APP_KEY": "new"}).secrets
    assert secrets("demo", "crm", "app-key") == "new"
    assert variable_name("acme", "my.crm", "app-key") == "FOREBAY_SECRET_ACME_MY_CRM_APP_KEY"


def test_a_variable_is_for_the_secret_of_one_namespace(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{endpoint()}---\n{HEAD}stringData: {{k: own}}\n")
    secrets = load(tmp_path, environment={"FOREBAY_SECRET_OTHER_CRM_K": "other"}).secrets
    assert secrets("demo", "crm", "k") == "own"
    assert secrets("other", "crm", "k") == "other"


def test_a_secret_that_is_nowhere_is_reported_with_the_variable_that_could_hold_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_text(f"{endpoint()}---\n{HEAD}stringData: {{a: b}}\n")
    secrets = load(tmp_path).secrets
    with pytest.raises(ConfigurationError, match=r"has no key 'b': add it, or set FOREBAY_SECRET_"):
        secrets("demo", "crm", "b")
    with pytest.raises(ConfigurationError, match="no Secret 'crm' in namespace 'other'"):
        secrets("other", "crm", "a")


def test_every_problem_of_every_file_is_reported_with_file_line_and_field(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(endpoint("a").replace("provider: meta", "provider: gupshup"))
    second.write_text(f"# a comment\n{endpoint('b').replace('log: {}', 'log: {level: info}')}")
    lines = refusal(tmp_path)
    assert lines[0].startswith(f"{first}:5: demo/a: spec.provider: use ")
    assert lines[1].startswith(f"{second}:10: demo/b: spec.destinations[0].log.level: ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: [", ":1: is not YAML that can be read"),
        (
            f"{endpoint()}paused: true\npaused: false\n",
            ":11: is not YAML that can be read: the key",
        ),
        ("yes: 1\n", ":1: is not YAML that can be read: the key 'yes' is not text"),
        (
            "a: 2026-02-30\n",
            ":1: is not YAML that can be read: it holds a date or a number that is",
        ),
        ("a: 0b_\n", ":1: is not YAML that can be read: it holds a date or a number that is none"),
        ("a: " + 3_000 * "[", ": is not YAML that can be read: it is nested too deeply"),
        ("- a\n- b\n", ":1: is not YAML that can be read: a manifest starts with"),
        ("apiVersion: v1\nkind: ConfigMap\n", ":2: kind: `forebay run` takes WebhookEndpoint"),
        (
            endpoint().replace("v1alpha1", "v9"),
            ":1: apiVersion: WebhookEndpoint is of `forebay.dev/v1alpha1` here: write that",
        ),
        (
            endpoint().replace("kind: WebhookEndpoint", "kind: webhookendpont"),
            ":2: kind: there is no such kind: did you mean `WebhookEndpoint`?",
        ),
        (
            HEAD.replace("Secret", "Secrets"),
            ":2: kind: there is no such kind: did you mean `Secret`?",
        ),
        (HEAD.replace("v1", "v2"), ":1: apiVersion: Secret is of `v1` here: write that"),
        (
            HEAD.replace("Secret", "[Secret]"),
            ":2: kind: there is no such kind: did you mean `Secret`?",
        ),
        (HEAD.replace("Secret", "{}"), ":2: kind: `forebay run` takes WebhookEndpoint"),
        (HEAD.replace("v1", "[v1]"), ":1: apiVersion: Secret is of `v1` here: write that"),
        ("metadata: {name: x}\n", ":1: kind: this field is missing: `forebay run` takes"),
        ("kind: Secret\n", ":1: apiVersion: this field is missing: `forebay run` takes"),
        (f"{HEAD}data: {{a: '%%'}}\n", ":4: data.a: this is not base64 of text"),
        (f"{HEAD}stringData: {{port: 80}}\n", ":4: stringData.port: this has to be text"),
        (f"{HEAD}stringdata: {{a: b}}\n", ":4: stringdata: there is no such field"),
    ],
)
def test_a_document_that_is_no_manifest_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    [line] = refusal(file)
    assert line.startswith(f"{file}{expected}")


def test_the_same_endpoint_or_secret_in_two_places_is_refused(tmp_path: Path) -> None:
    secret = f"{HEAD}stringData: {{a: b}}\n"
    (tmp_path / "a.yaml").write_text(f"{endpoint()}---\n{secret}")
    (tmp_path / "b.yaml").write_text(f"{endpoint()}---\n{secret}")
    lines = refusal(tmp_path)
    first = tmp_path / "a.yaml"
    assert f"demo/meta stands in {first}:1 too: remove one of them" in lines[0]
    assert f"Secret demo/crm stands in {first}:11 too: remove one of them" in lines[1]


def test_a_secrets_value_never_stands_in_a_message(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{HEAD}data: {{a: hunter2%}}\n")
    assert "hunter2" not in "\n".join(refusal(tmp_path))


def test_what_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml is not there: give a manifest"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigurationError, match=r"holds no \.yaml, \.yml or \.json file"):
        load(tmp_path)
    (tmp_path / "a.yaml").write_text(f"{HEAD}stringData: {{a: b}}\n")
    with pytest.raises(ConfigurationError, match="there is no WebhookEndpoint in"):
        load(tmp_path)
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidManifests, match="is not text in UTF-8"):
        load(tmp_path)


def test_the_examples_can_be_used_as_they_stand() -> None:
    examples = Path(__file__).parents[2] / "examples"
    found = load(examples)
    assert {str(each.endpoint) for each in found.endpoints} == {"demo/d360", "demo/meta"}
    assert found.secrets("demo", "meta-example", "app-secret") == "example-app-secret"
    assert found.secrets("demo", "meta-example", "verify-token") == "example-verify-token"
    assert found.secrets("demo", "d360-example", "authorization") == "Bearer example-token"
