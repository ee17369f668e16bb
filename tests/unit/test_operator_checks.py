"""Whether an endpoint is accepted, and who holds a host."""

from datetime import UTC, datetime, timedelta

import pytest

from forebay.core.authentication_spec import ClientCertificateSpec
from forebay.core.destination_spec import DestinationSpec, HttpSpec, PythonSpec
from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import ReceiverSpec, Replicas, Resources, Throughput, WebhookEndpoint
from forebay.core.throughput_spec import ScheduleWindow
from forebay_operator.builders.receiver_size import receiver_size
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.policies.checks import Input, first_refusal
from forebay_operator.policies.hosts import holder_of, is_allowed
from forebay_operator.settings.config import OperatorConfig, TenantLimits
from support.operator.operator_inputs import installation, read_manifest

START = datetime(2026, 1, 1, tzinfo=UTC)


def refusal(
    manifest: WebhookEndpoint, config: OperatorConfig | None = None, holder: str | None = None
) -> tuple[ConditionReason, str] | None:
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
    assert found[0] is ConditionReason.SHARD_UNKNOWN
    assert "'east'" in found[1]


def test_streams_and_processors_of_its_own_are_the_installation_s_to_give() -> None:
    wants = with_processing(isolation="Dedicated")
    assert refusal(wants) is None
    dedicated = installation().dedicated
    assert dedicated is not None
    none = dedicated.model_copy(update={"max_dedicated_shards": 0})
    for given in (None, none):
        found = refusal(wants, installation(dedicated=given))
        assert found is not None
        assert found[0] is ConditionReason.PROCESSING_NOT_SUPPORTED
        assert "processors.dedicated.maxDedicatedShards" in found[1]


def test_there_are_not_more_of_them_than_allowed() -> None:
    about = Input(
        manifest=with_processing(isolation="Dedicated"),
        config=installation(),
        host_holder=None,
        has_shard=False,
    )
    found = first_refusal(about)
    assert found is not None
    assert found[0] is ConditionReason.DEDICATED_SHARDS_FULL
    assert "2 endpoints have" in found[1]


@pytest.mark.parametrize(
    ("image", "is_fine"),
    [
        ("registry.example.com/bots/shop:1", True),
        ("registry.example.com/botsy/shop:1", False),
        ("evil.example.com/registry.example.com/bots/shop:1", False),
    ],
)
def test_an_image_has_to_be_one_that_the_installation_names(image: str, is_fine: bool) -> None:  # noqa: FBT001
    found = refusal(with_processing(isolation="Dedicated", image=image))
    assert (found is None) is is_fine
    assert found is None or found[0] is ConditionReason.IMAGE_NOT_ALLOWED


def test_shared_receivers_have_to_be_installed() -> None:
    config = installation(shared_receivers=None)
    found = refusal(read_manifest("shared"), config)
    assert found is not None
    assert found[0] is ConditionReason.SHARED_NOT_INSTALLED
    assert refusal(read_manifest("dedicated"), config) is None


def test_client_certificates_need_a_proxy_that_is_believed() -> None:
    manifest = read_manifest("dedicated")
    certificate = ClientCertificateSpec(names=("client.webhooks.fbclientcerts.com",))
    authentication = manifest.spec.authentication.model_copy(
        update={"client_certificate": certificate}
    )
    spec = manifest.spec.model_copy(update={"authentication": authentication})
    asking = manifest.model_copy(update={"spec": spec})
    trusting = installation()
    without = trusting.model_copy(
        update={"receiver": trusting.receiver.model_copy(update={"client_certificates": None})}
    )
    assert refusal(asking, trusting) is None
    assert refusal(manifest, without) is None
    found = refusal(asking, without)
    assert found is not None
    assert found[0] is ConditionReason.CLIENT_CERTIFICATES_OFF
    assert "receivers.clientCertificate.header" in found[1]


def test_python_runs_where_the_installation_names_its_module() -> None:
    manifest = read_manifest("dedicated")
    handler = DestinationSpec(name="bot", python=PythonSpec(handler="acme.bot:handle"))
    spec = manifest.spec.model_copy(update={"destinations": (handler,)})
    asking = manifest.model_copy(update={"spec": spec})
    shipped = installation()
    found = refusal(asking, shipped)
    assert found is not None
    assert found[0] is ConditionReason.PYTHON_NOT_ALLOWED
    assert "processors.pythonModules" in found[1]
    for modules, is_refused in ((("acme",), False), (("acme.bot",), False), (("other",), True)):
        processors = shipped.processors.model_copy(update={"python_modules": modules})
        config = shipped.model_copy(update={"processors": processors})
        assert (refusal(asking, config) is not None) is is_refused


def test_host_of_another_namespace_is_taken() -> None:
    manifest = read_manifest("dedicated")
    assert refusal(manifest, holder="acme") is None
    found = refusal(manifest, holder="rival")
    assert found is not None
    assert found[0] is ConditionReason.HOST_TAKEN
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


def limited(**limits: object) -> OperatorConfig:
    allowed = {"hosts": ("*",), "replicas": 100} | limits
    return installation(tenant_limits=TenantLimits.model_validate(allowed))


def window(messages: int) -> ScheduleWindow:
    return ScheduleWindow.model_validate(
        {
            "name": f"at-{messages}",
            "cron": "0 9 * * *",
            "duration": "1h",
            "messagesPerSecond": messages,
        }
    )


def asking(**fields: object) -> WebhookEndpoint:
    manifest = read_manifest("dedicated")
    return manifest.model_copy(update={"spec": manifest.spec.model_copy(update=fields)})


def http(name: str, places: int) -> DestinationSpec:
    return DestinationSpec(
        name=name, http=HttpSpec(url="https://crm.example.com/in", max_in_flight=places)
    )


@pytest.mark.parametrize(
    ("manifest", "limits", "said"),
    [
        (
            asking(receiver=ReceiverSpec(replicas=Replicas(min=2, max=50))),
            {"replicas": 20},
            "receiver.replicas.max is 50, and this installation gives 20",
        ),
        (
            asking(receiver=ReceiverSpec(replicas=Replicas(min=4))),
            {"replicas": 3},
            "receiver.replicas.min is 4, and this installation gives 3",
        ),
        (
            asking(receiver=ReceiverSpec(resources=Resources(limits={"cpu": "2500m"}))),
            {},
            "receiver.resources.limits.cpu is 2500m, and this installation gives 2",
        ),
        (
            asking(receiver=ReceiverSpec(resources=Resources(requests={"memory": "3Gi"}))),
            {},
            "receiver.resources.requests.memory is 3Gi",
        ),
        (
            asking(throughput=Throughput(messages_per_second=4000)),
            {},
            "throughput.messagesPerSecond is 4000",
        ),
        (
            asking(throughput=Throughput(schedule=(window(400), window(1200)))),
            {},
            "throughput.schedule[1].messagesPerSecond is 1200",
        ),
        (
            asking(destinations=tuple(http(f"d{number}", 1) for number in range(17))),
            {},
            "the number of destinations is 17",
        ),
        (
            asking(destinations=(http("a", 1000), http("b", 100))),
            {},
            "without a processing.maxInFlight, is 1100",
        ),
        (with_processing(max_in_flight=2000), {}, "processing.maxInFlight is 2000"),
    ],
)
def test_what_is_above_a_limit_is_reported_with_what_to_do(
    manifest: WebhookEndpoint, limits: dict[str, object], said: str
) -> None:
    found = refusal(manifest, limited(**limits))
    assert found is not None
    assert found[0] is ConditionReason.LIMIT_EXCEEDED
    assert said in found[1]
    assert "have `limits." in found[1]


def test_what_is_at_the_limit_is_accepted() -> None:
    config = limited(replicas=50, cpu="2.5", destinations=2)
    for manifest in (
        asking(receiver=ReceiverSpec(replicas=Replicas(min=2, max=50))),
        asking(receiver=ReceiverSpec(resources=Resources(limits={"cpu": "2500m"}))),
        asking(destinations=(http("a", 512), http("b", 512))),
        with_processing(max_in_flight=1024),
    ):
        assert refusal(manifest, config) is None


def test_an_endpoint_that_names_no_replicas_has_as_many_as_it_may() -> None:
    manifest, config = asking(receiver=ReceiverSpec()), limited(replicas=3)
    assert refusal(manifest, config) is None
    assert receiver_size(manifest, config).high == 3


def test_an_endpoint_that_names_a_floor_alone_is_not_refused_for_the_ceiling_by_default() -> None:
    manifest = asking(receiver=ReceiverSpec(replicas=Replicas(min=3)))
    assert refusal(manifest, limited(replicas=3)) is None
    size = receiver_size(manifest, limited(replicas=3))
    assert (size.low, size.high) == (3, 3)


def test_replicas_of_a_shared_endpoint_are_nobodys() -> None:
    receiver = ReceiverSpec(isolation="Shared", replicas=Replicas(min=2, max=100))
    assert refusal(asking(receiver=receiver), limited(replicas=1)) is None


def test_secrets_that_are_named_are_counted() -> None:
    about = Input(
        manifest=read_manifest("dedicated"), config=installation(), host_holder=None, secrets=65
    )
    found = first_refusal(about)
    assert found is not None
    assert "the number of Secrets that it names is 65" in found[1]


def test_a_host_that_the_installation_does_not_allow_is_refused() -> None:
    manifest = asking(host="hooks.rival.example.com")
    found = refusal(manifest)
    assert found is not None
    assert found[0] is ConditionReason.HOST_NOT_ALLOWED
    assert "`limits.hosts`" in found[1]
    assert refusal(asking(host="hooks.example.com")) is None, "the installation's own"
    assert refusal(asking(host="hooks.example.org")) is None, "allowed by name"
    assert refusal(asking(host="a.b.acme.example.com")) is None, "allowed by pattern"


@pytest.mark.parametrize(
    ("host", "patterns", "allowed"),
    [
        ("hooks.example.com", [], False),
        ("hooks.example.com", ["hooks.example.com"], True),
        ("hooks.example.com", ["*.example.com"], True),
        ("a.b.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("evilexample.com", ["*.example.com"], False),
        ("hooks.example.com.evil.io", ["*.example.com", "hooks.example.com"], False),
        ("anything.at.all", ["*"], True),
        ("hooks.acme.io", ["*.{namespace}.io"], True),
        ("hooks.other.io", ["*.{namespace}.io"], False),
    ],
)
def test_patterns_of_hosts(host: str, patterns: list[str], *, allowed: bool) -> None:
    assert is_allowed(host, "acme", patterns) is allowed
