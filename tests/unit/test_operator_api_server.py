"""What the API server's answers mean, what is reported of them, and what it is asked to check."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from lightkube import ApiError
from lightkube.models.meta_v1 import ObjectMeta, Status
from lightkube.resources.core_v1 import Secret, Service

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters import cluster as adapter
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import (
    ApiRefused,
    ApiUnavailable,
    ApiUnreachable,
    ObjectChanged,
    OperatorError,
)
from forebay_operator.models.endpoint import ClusterEndpoint

OWN = EndpointName("acme", "sales")
QUOTING = "admission webhook 'small' denied the request: value s3cret is not allowed"


class PlayedClient:
    """Notes what it is asked, and answers with an error if it is to."""

    def __init__(self, **_: object) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.error: Exception | None = None

    async def patch(
        self, resource: object, name: str, body: Mapping[str, Any], **_: object
    ) -> Mapping[str, Any]:
        """Take a partial object."""
        del resource, name
        self.bodies.append(body)
        return body

    async def apply(self, desired: object, **_: object) -> object:
        """Refuse an object."""
        del desired
        assert self.error is not None
        raise self.error


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> PlayedClient:
    client = PlayedClient()
    monkeypatch.setattr(adapter, "AsyncClient", lambda **_: client)
    return client


@pytest.fixture
def cluster(client: PlayedClient) -> Cluster:
    del client  # it has to be there first
    return Cluster("forebay", "fb", 1.0, 8)


def answer(code: int, message: str = "no") -> ApiError:
    """Return an answer of the API server that is no success."""
    request = httpx2.Request("PATCH", "https://10.0.0.1/")
    status = Status(code=code, message=message)
    return ApiError(request, httpx2.Response(code, json=status.to_dict(), request=request))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer(404), ObjectChanged),
        (answer(409), ObjectChanged),
        (answer(400), ApiRefused),
        (answer(403), ApiRefused),
        (answer(422), ApiRefused),
        (answer(429), ApiUnavailable),
        (answer(500), ApiUnavailable),
        (answer(503), ApiUnavailable),
        (httpx2.ConnectTimeout("slow"), ApiUnreachable),
        (httpx2.ConnectError("refused"), ApiUnreachable),
        (httpx2.ReadTimeout("slow"), ApiUnavailable),
        (ConnectionResetError(), ApiUnavailable),
    ],
    ids=lambda given: (
        str(given.status.code) if isinstance(given, ApiError) else getattr(given, "__name__", None)
    ),
)
async def test_passing_refusals_are_distinguished_from_lasting_ones(
    client: PlayedClient, cluster: Cluster, error: Exception, kind: type[OperatorError]
) -> None:
    client.error = error
    with pytest.raises(OperatorError) as caught:
        await cluster.apply(Service(metadata=ObjectMeta(name="sales")))
    assert type(caught.value) is kind


async def test_who_refuses_a_secret_is_named_and_the_words_are_not_repeated(
    client: PlayedClient, cluster: Cluster
) -> None:
    client.error = answer(403, QUOTING)
    with pytest.raises(ApiRefused) as caught:
        await cluster.apply(Secret(metadata=ObjectMeta(name="sales")))
    assert "'small' denied the request" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_what_is_said_of_other_objects_is_reported(
    client: PlayedClient, cluster: Cluster
) -> None:
    client.error = answer(403, QUOTING.replace("s3cret", "8080"))
    with pytest.raises(ApiRefused, match="value 8080 is not allowed"):
        await cluster.apply(Service(metadata=ObjectMeta(name="sales")))


async def test_an_endpoint_that_is_gone_cannot_be_made_anew(
    client: PlayedClient, cluster: Cluster
) -> None:
    """An apply with the uid of one that is gone is refused; without it would make a new one."""
    endpoint = ClusterEndpoint(
        endpoint=OWN,
        uid="uid-1",
        generation=1,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        deleted=None,
        finalizers=(),
        document={},
    )
    await cluster.set_finalizer(endpoint, present=True)
    await cluster.apply_status(endpoint, {"url": "https://hooks.example.com/"})
    assert [body["metadata"]["uid"] for body in client.bodies] == ["uid-1", "uid-1"]
