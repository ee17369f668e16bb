"""Who may talk with the pods of one Dedicated endpoint, and they with whom."""

from collections.abc import Iterable

import msgspec
from lightkube.models.meta_v1 import LabelSelector
from lightkube.models.networking_v1 import (
    NetworkPolicyEgressRule,
    NetworkPolicyIngressRule,
    NetworkPolicyPeer,
    NetworkPolicyPort,
    NetworkPolicySpec,
)
from lightkube.resources.networking_v1 import NetworkPolicy

from forebay.core.resource import WebhookEndpoint
from forebay_operator.builders.names import endpoint_meta, endpoint_selector
from forebay_operator.models.names import LABEL_INSTANCE, LABEL_PART_OF, PART_OF
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.receivers import NetworkPeer

__all__ = ["admin_rule", "network_policy"]


def network_policy(manifest: WebhookEndpoint, config: OperatorConfig) -> NetworkPolicy:
    """Return who may talk with the pods, and they with whom; as in the chart for shared ones."""
    selector = LabelSelector(matchLabels=endpoint_selector(manifest.endpoint, config))
    senders = [_peer_of(each) for each in config.receiver.webhooks_from]
    ingress = [
        NetworkPolicyIngressRule(
            ports=[NetworkPolicyPort(port="http", protocol="TCP")], from_=senders or None
        ),
        admin_rule(config.receiver.admin_from, config),
    ]
    metadata = endpoint_meta(manifest.endpoint, config)
    nats = config.receiver.nats_pods
    if nats is None:
        spec = NetworkPolicySpec(podSelector=selector, policyTypes=["Ingress"], ingress=ingress)
        return NetworkPolicy(metadata=metadata, spec=spec)
    egress = [
        NetworkPolicyEgressRule(
            ports=[
                NetworkPolicyPort(port=53, protocol="UDP"),
                NetworkPolicyPort(port=53, protocol="TCP"),
            ],
            # No `to`: a node's own DNS cache is no pod.
        ),
        NetworkPolicyEgressRule(
            ports=[NetworkPolicyPort(port=4222, protocol="TCP")],
            to=[NetworkPolicyPeer(podSelector=LabelSelector(matchLabels=dict(nats.match_labels)))],
        ),
    ]
    tracing = config.receiver.tracing
    if tracing is not None:
        egress.append(
            NetworkPolicyEgressRule(
                ports=[NetworkPolicyPort(port=tracing.port, protocol="TCP")],
                to=[_peer_of(each) for each in tracing.to] or None,
            )
        )
    return NetworkPolicy(
        metadata=metadata,
        spec=NetworkPolicySpec(
            podSelector=selector,
            policyTypes=["Ingress", "Egress"],
            ingress=ingress,
            egress=egress,
        ),
    )


def admin_rule(others: Iterable[NetworkPeer], config: OperatorConfig) -> NetworkPolicyIngressRule:
    """Return who may reach the admin port: Forebay's own pods, and others that are named.

    It shows the names of endpoints and their state: the operator asks there which table a pod has,
    and whoever reads metrics.
    """
    own = {LABEL_INSTANCE: config.release, LABEL_PART_OF: PART_OF}
    return NetworkPolicyIngressRule(
        ports=[NetworkPolicyPort(port="admin", protocol="TCP")],
        from_=[
            NetworkPolicyPeer(podSelector=LabelSelector(matchLabels=own)),
            *(_peer_of(each) for each in others),
        ],
    )


def _peer_of(peer: NetworkPeer) -> NetworkPolicyPeer:
    return msgspec.convert(peer.model_dump(by_alias=True, exclude_none=True), NetworkPolicyPeer)
