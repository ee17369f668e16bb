"""The variables for traces of a receiver's pod; the chart sets the same for the shared ones."""

from typing import Final

from lightkube.models.core_v1 import EnvVar, EnvVarSource, ObjectFieldSelector

from forebay_operator.settings.receivers import Tracing

__all__ = ["tracing_variables"]

RESOURCE: Final = (
    "k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),"
    "k8s.node.name=$(NODE_NAME),service.instance.id=$(POD_NAME)"
)
"""Of what a span is: the kubelet puts the values in."""

_FIELDS: Final = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "NODE_NAME": "spec.nodeName",
}


def tracing_variables(tracing: Tracing) -> list[EnvVar]:
    """Return the variables of a pod; what another one names stands before it."""
    return [
        EnvVar(name="OTEL_EXPORTER_OTLP_ENDPOINT", value=tracing.endpoint),
        EnvVar(name="OTEL_EXPORTER_OTLP_PROTOCOL", value=tracing.protocol),
        EnvVar(name="FOREBAY_TRACES_RATIO", value=f"{tracing.ratio:g}"),
        EnvVar(name="FOREBAY_TRACES_TRUST_INCOMING", value=str(tracing.trust_incoming).lower()),
        *(
            EnvVar(
                name=name,
                valueFrom=EnvVarSource(fieldRef=ObjectFieldSelector(fieldPath=path)),
            )
            for name, path in _FIELDS.items()
        ),
        EnvVar(name="OTEL_RESOURCE_ATTRIBUTES", value=RESOURCE),
    ]
