"""The `curl` line of an endpoint with Basic carries the pair, or names the variable it is in."""

import shlex

from forebay.core.resource import API_VERSION, KIND, parse_endpoint
from forebay.local.curl_lines import sample
from forebay.local.secret_sources import LocalSecrets, SecretName

PASSWORD = "pass 'word\" $HOME"
MANIFEST = parse_endpoint(
    {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"namespace": "demo", "name": "crm"},
        "spec": {
            "provider": "meta",
            "authentication": {
                "basic": [
                    {
                        "username": "the provider's",
                        "password": {"secretKeyRef": {"name": "crm", "key": "password"}},
                    }
                ]
            },
            "destinations": [{"name": "log", "log": {}}],
        },
    }
)
IN_MANIFESTS = {SecretName("demo", "crm"): {"password": PASSWORD}}


def curl(environment: dict[str, str]) -> str:
    secrets = LocalSecrets(IN_MANIFESTS, environment)
    return sample(MANIFEST, secrets, "http://127.0.0.1:8080", mark="1", time=0).curl


def test_a_destination_says_its_kind_and_whether_it_takes_batches() -> None:
    document = MANIFEST.model_dump(mode="json", by_alias=True, exclude_none=True)
    url = "https://crm.example.com/in"
    document["spec"]["destinations"] = [
        {"name": "log", "log": {}},
        {"name": "crm", "http": {"url": url}},
        {"name": "many", "http": {"url": url, "batch": {}}},
    ]
    secrets = LocalSecrets(IN_MANIFESTS, {})
    shown = sample(parse_endpoint(document), secrets, "http://127.0.0.1:8080", mark="1", time=0)
    assert shown.destinations == ("log (log)", "crm (http)", "many (http, batch)")


def test_a_pair_from_a_manifest_stands_in_the_line() -> None:
    words = shlex.split(curl({}))
    assert words[words.index("-u") + 1] == f"the provider's:{PASSWORD}"


def test_a_password_from_the_environment_stays_there() -> None:
    line = curl({"FOREBAY_SECRET_DEMO_CRM_PASSWORD": "hunter2"})
    assert "hunter2" not in line
    words = shlex.split(line)
    assert words[words.index("-u") + 1] == "the provider's:$FOREBAY_SECRET_DEMO_CRM_PASSWORD"
