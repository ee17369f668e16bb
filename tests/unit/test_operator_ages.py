"""How old what endpoints trust in is: what the operator's /metrics say of it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.certificate_expiry import first_end
from forebay_operator.metrics import (
    CERTIFICATE,
    NATS_CERTIFICATE,
    NATS_SECONDS,
    OLDEST,
    SECRET,
    Age,
    OperatorMetrics,
)
from support.operator.operator_alone import OperatorAlone
from support.programs.authority import Authority


async def shown(metrics: OperatorMetrics) -> dict[tuple[str, ...], float]:
    """Return all samples, by name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families((await metrics.exposition()).content.decode())
        for sample in family.samples
    }


def following(ages: Iterable[Age | None], nats: float | None = None) -> OperatorMetrics:
    """Return metrics that are read from these."""
    metrics = OperatorMetrics()
    metrics.follow_ages(lambda: ages, lambda: nats)
    return metrics


async def test_the_oldest_secrets_and_the_first_ends_are_shown_and_no_more() -> None:
    many = range(10 * OLDEST)

    def ages() -> Iterator[Age | None]:
        for number in reversed(many):
            yield Age(EndpointName("acme", f"s{number}"), 1000.0 + number, 5000.0 - number)
            yield None

    found = await shown(following(list(ages())))
    secrets = {labels[2]: value for labels, value in found.items() if labels[0] == SECRET.name}
    ends = {labels[2]: value for labels, value in found.items() if labels[0] == CERTIFICATE.name}
    assert secrets == {f"s{number}": 1000.0 + number for number in many[:OLDEST]}
    assert ends == {f"s{number}": 5000.0 - number for number in many[-OLDEST:]}


async def test_who_has_no_secret_or_certificate_has_no_series() -> None:
    found = await shown(following([Age(EndpointName("acme", "s"), None, None)]))
    assert not {labels for labels in found if labels[0] in {SECRET.name, CERTIFICATE.name}}


@pytest.mark.parametrize("end", [None, 1.5e9])
async def test_without_tls_nats_has_no_certificate(end: float | None) -> None:
    found = await shown(following([], end))
    assert found.get((NATS_CERTIFICATE.name,)) == end


async def test_answers_of_nats_are_counted_with_their_time() -> None:
    metrics = OperatorMetrics()
    metrics.nats_answered(0.02)
    assert (await shown(metrics))[f"{NATS_SECONDS.name}_sum", "operator"] == 0.02


async def test_an_endpoints_secret_and_authority_are_followed_until_it_goes(
    tmp_path: Path,
) -> None:
    alone = OperatorAlone()
    alone.cluster.secrets_changed = 1234.0
    pem = Authority(tmp_path).pem
    alone.cluster.secrets[alone.namespace, "ca"] = {"ca.crt": pem}
    await alone.start()
    tls = {"ca": {"secretKeyRef": {"name": "ca", "key": "ca.crt"}}}
    http = {"url": "https://crm.example.com/in", "tls": tls}
    own = alone.apply("sales", destinations=[{"name": "crm", "http": http}])
    await alone.reconcile(own)
    assert list(alone.reconciler.ages()) == [Age(own, 1234.0, first_end(pem))]
    alone.delete(own)
    for _ in range(3):
        await alone.reconcile(own)
    assert list(alone.reconciler.ages()) == []
