"""How many receivers a Dedicated endpoint has at least, and what CPU each asks for: by its load.

The provider's formula says how many webhooks come at full speed; divided by what a pod is reckoned
to take that is the floor of the scaler. What a pod asks for is what its share of them costs, with
so much room that at full speed it is where the scaler wants it: more than is declared adds pods,
and what is declared does not. A channel that is quiet reserves little, and still has two pods.
"""

import math

from forebay.core.receiver_cpu import CORE_MILLICORES, used_millicores
from forebay.core.resource import WebhookEndpoint
from forebay.core.schedule import webhooks_per_second
from forebay_operator.models.quantities import amount
from forebay_operator.models.status import ReceiverSize
from forebay_operator.settings.config import OperatorConfig

__all__ = ["receiver_size"]


def receiver_size(manifest: WebhookEndpoint, config: OperatorConfig) -> ReceiverSize:
    """Return the bounds of the scaler and the CPU of a pod.

    The installation's limits hold here too: they lower what an endpoint does not name.
    """
    pods, replicas = config.receiver, manifest.spec.receiver.replicas
    rate = webhooks_per_second(manifest.spec.throughput)
    high = min(replicas.max, config.tenant_limits.replicas)
    needed = math.ceil(rate / pods.webhooks_per_second)
    low = min(max(replicas.min, needed), high)
    return ReceiverSize(
        webhooks_per_second=math.ceil(rate),
        pod_webhooks_per_second=pods.webhooks_per_second,
        low=low,
        high=high,
        cpu=_cpu(manifest, config, rate / low),
    )


def _cpu(manifest: WebhookEndpoint, config: OperatorConfig, share: float) -> str:
    own, pods = manifest.spec.receiver.resources, config.receiver
    asked = own.requests.get("cpu") if own is not None else None
    asked = asked or pods.resources.requests.get("cpu")
    if asked is not None:
        return asked
    used = used_millicores(share, pods.webhook_microseconds)
    millicores = math.ceil(used * 100 / pods.target_cpu_percent)
    limits = [
        pods.resources.limits.get("cpu") if own is None or "cpu" not in own.limits else None,
        own.limits.get("cpu") if own is not None else None,
        config.tenant_limits.cpu,
    ]
    bounds = [int((amount(each) or 0) * 1000) for each in limits if each is not None]
    return f"{max(min(millicores, CORE_MILLICORES, *bounds), 1)}m"
