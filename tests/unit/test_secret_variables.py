"""The variables that secrets come from: one that would mislead is refused with what to do."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forebay.local.manifest_set import CompiledTables, ManifestSet
from forebay.local.manifests import InvalidManifests

ENDPOINT = """\
apiVersion: forebay.dev/v1alpha1
kind: WebhookEndpoint
metadata: {{namespace: {namespace}, name: hooks}}
spec:
  provider: meta
  authentication: {{signature: {{secrets: [{{secretKeyRef: {{name: {name}, key: {key}}}}}]}}}}
  destinations: [{{name: log, log: {{}}}}]
"""

SECRET = """\
---
apiVersion: v1
kind: Secret
metadata: {{namespace: {namespace}, name: {name}}}
stringData: {{{key}: {value}}}
"""


class Folder:
    """A folder with endpoints that have one secret each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, namespace: str, name: str, key: str, value: str | None = None) -> None:
        """Write an endpoint, and its Secret where a value is given."""
        text = ENDPOINT.format(namespace=namespace, name=name, key=key)
        if value is not None:
            text += SECRET.format(namespace=namespace, name=name, key=key, value=value)
        (self._path / f"{namespace}.yaml").write_text(text)

    def load(self, environment: Mapping[str, str]) -> CompiledTables:
        """Read them as `forebay run` does."""
        return ManifestSet([self._path], environment, lambda _: None).load()

    def refusal(self, environment: Mapping[str, str]) -> str:
        """Return why they are refused."""
        with pytest.raises(InvalidManifests) as caught:
            self.load(environment)
        return str(caught.value)

    def secrets(self, environment: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Return the secrets in force, by endpoint."""
        found = {}
        for route in self.load(environment).receiver.routes:
            assert route.authentication.signature is not None
            found[str(route.endpoint)] = route.authentication.signature.secrets
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_variable_that_is_named_without_the_namespace_is_refused(folder: Folder) -> None:
    folder.add("demo", "meta-example", "app-secret", "public")
    former = {"FOREBAY_SECRET_META_EXAMPLE_APP_SECRET": "hunter2"}
    assert folder.refusal(former) == (
        "FOREBAY_SECRET_META_EXAMPLE_APP_SECRET is no longer read for key 'app-secret' of Secret "
        "demo/meta-example: rename it to FOREBAY_SECRET_DEMO_META_EXAMPLE_APP_SECRET, or unset it"
    )
    renamed = {"FOREBAY_SECRET_DEMO_META_EXAMPLE_APP_SECRET": "hunter3"}
    assert folder.secrets(former | renamed) == {"demo/hooks": ("hunter3",)}
    assert folder.secrets({}) == {"demo/hooks": ("public",)}


def test_what_looks_like_a_former_name_may_be_another_secrets_variable(folder: Folder) -> None:
    folder.add("demo", "meta-example", "app-secret", "own")
    folder.add("meta", "example", "app-secret", "public")
    found = folder.secrets({"FOREBAY_SECRET_META_EXAMPLE_APP_SECRET": "hunter2"})
    assert found == {"demo/hooks": ("own",), "meta/hooks": ("hunter2",)}


def test_a_variable_that_two_secrets_would_be_read_from_is_refused(folder: Folder) -> None:
    folder.add("acme", "shop-crm", "k", "one")
    folder.add("acme-shop", "crm", "k", "two")
    assert folder.refusal({"FOREBAY_SECRET_ACME_SHOP_CRM_K": "hunter2"}) == (
        "FOREBAY_SECRET_ACME_SHOP_CRM_K would be read for key 'k' of Secret acme/shop-crm and for "
        "key 'k' of Secret acme-shop/crm: rename one of them, or unset it and write both in Secret "
        "manifests"
    )
    assert folder.secrets({}) == {"acme/hooks": ("one",), "acme-shop/hooks": ("two",)}


def test_two_secrets_of_no_manifest_do_not_share_a_variable_either(folder: Folder) -> None:
    folder.add("acme", "shop-crm", "k")
    folder.add("acme-shop", "crm", "k")
    assert "would be read for" in folder.refusal({"FOREBAY_SECRET_ACME_SHOP_CRM_K": "hunter2"})


def test_a_secret_that_two_endpoints_use_is_one(folder: Folder, tmp_path: Path) -> None:
    folder.add("demo", "crm", "k")
    first = tmp_path / "demo.yaml"
    (tmp_path / "second.yaml").write_text(first.read_text().replace("name: hooks", "name: others"))
    found = folder.secrets({"FOREBAY_SECRET_DEMO_CRM_K": "hunter2"})
    assert found == {"demo/hooks": ("hunter2",), "demo/others": ("hunter2",)}
