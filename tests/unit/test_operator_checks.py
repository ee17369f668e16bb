"""Whether an endpoint is accepted, and who holds a host."""

from datetime import UTC, datetime, timedelta

from forebay.core.naming import EndpointName
from forebay.core.resource import ClientCertificateSpec, WebhookEndpoint
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import Reason
from forebay_operator.policies.checks import Input, first_refusal
from forebay_operator.policies.hosts import holder_of
from forebay_operator.settings import OperatorConfig
from support.operator_inputs import installation, read_manifest

START = datetime(2026, 1, 1, tzinfo=UTC)


def refusal(
    manifest: WebhookEndpoint, config: OperatorConfig | None = None, holder: str | None = None
) -> tuple[Reason, str] | None:
    about = Input(manifest=manifest, config=config or installation(), host_holder=holder)
    return first_refusal(about)


def with_processing(**changes: object) -> WebhookEndpoint:
    manifest = read_manifest("dedicated")
    processing = manifest.spec.processing.model_copy(update=changes)
    spec = manifest.spec.model_copy(update={"processing": processing})
    return manifest.model_copy(update={"spec": spec})


def claim(namespace: str, host: str | None, seconds: int) -> ClusterEndpoint:
    return ClusterEndpoint(
        endpoint=EndpointName(namespace, f"e{seconds}"),
        uid="",
        generation=1,
        created=START + timedelta(seconds=seconds),
        deleted=None,
        finalizers=(),
        document={"spec": {"host": host}},
    )


def test_good_endpoints_are_accepted() -> None:
    for name in ("dedicated", "shared", "small"):
        assert refusal(read_manifest(name)) is None


def test_shard_has_to_be_there() -> None:
    found = refusal(with_processing(shard="east"))
    assert found is not None
    assert found[0] is Reason.SHARD_UNKNOWN
    assert "'east'" in found[1]


def test_processors_of_its_own_are_refused_in_words() -> None:
    found = refusal(with_processing(isolation="Dedicated"))
    assert found is not None
    assert found[0] is Reason.PROCESSING_NOT_SUPPORTED


def test_shared_receivers_have_to_be_installed() -> None:
    config = installation(shared_receivers=None)
    found = refusal(read_manifest("shared"), config)
    assert found is not None
    assert found[0] is Reason.SHARED_NOT_INSTALLED
    assert refusal(read_manifest("dedicated"), config) is None


def test_client_certificates_need_a_proxy_that_is_believed() -> None:
    manifest = read_manifest("dedicated")
    certificate = ClientCertificateSpec(names=("client.webhooks.fbclientcerts.com",))
    authentication = manifest.spec.authentication.model_copy(
        update={"client_certificate": certificate}
    )
    spec = manifest.spec.model_copy(update={"authentication": authentication})
    asking = manifest.model_copy(update={"spec": spec})
    told = installation()
    untold = told.model_copy(
        update={"receiver": told.receiver.model_copy(update={"client_certificates": None})}
    )
    assert refusal(asking, told) is None
    assert refusal(manifest, untold) is None
    found = refusal(asking, untold)
    assert found is not None
    assert found[0] is Reason.CLIENT_CERTIFICATES_OFF
    assert "receivers.clientCertificate.header" in found[1]


def test_host_of_another_namespace_is_taken() -> None:
    manifest = read_manifest("dedicated")
    assert refusal(manifest, holder="acme") is None
    found = refusal(manifest, holder="rival")
    assert found is not None
    assert found[0] is Reason.HOST_TAKEN
    assert "rival" not in found[1], "a tenant learns nothing of another"


def test_oldest_claim_decides() -> None:
    claims = [claim("young", "a.example.com", 9), claim("old", "a.example.com", 2)]
    assert holder_of("a.example.com", claims) == "old"
    assert holder_of("a.example.com", reversed(claims)) == "old"
    assert holder_of("b.example.com", claims) is None


def test_claims_of_one_second_go_by_name() -> None:
    claims = [claim("b", "a.example.com", 2), claim("a", "a.example.com", 2)]
    assert holder_of("a.example.com", claims) == "a"


def test_secrets_and_host_are_seen_in_a_spec_that_cannot_be_parsed() -> None:
    spec = {
        "host": 7,
        "authentication": {"headers": [{"values": [{"secretKeyRef": {"name": "one"}}]}]},
        "destinations": [{"http": {"signing": {"secretKeyRef": {"name": "two"}}}}, None],
    }
    endpoint = ClusterEndpoint(
        endpoint=EndpointName("a", "b"),
        uid="",
        generation=1,
        created=START,
        deleted=None,
        finalizers=(),
        document={"spec": spec},
    )
    assert endpoint.secrets == {"one", "two"}
    assert endpoint.host is None
