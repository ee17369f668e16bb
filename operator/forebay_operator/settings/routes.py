"""How webhooks get into the cluster: an Ingress or an HTTPRoute."""

from typing import Annotated, Literal

from pydantic import Field

from forebay_operator.settings.settings_group import LabelMap, ObjectName, SettingsGroup

__all__ = ["GatewayParent", "GatewaySettings", "IngressSettings", "RouteSettings"]


class IngressSettings(SettingsGroup):
    """Routes where the cluster has no Gateway API."""

    class_name: str | None = None
    """None for the cluster's default class."""

    annotations: LabelMap = {
        # The providers' largest body is 3 MB, our limit 4 MiB: nginx allows 1 MiB by default.
        "nginx.ingress.kubernetes.io/proxy-body-size": "4m",
        # Longer than the receiver's budget of 2.5 s, shorter than the 5 s of 360dialog.
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "4",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "4",
        "nginx.ingress.kubernetes.io/proxy-connect-timeout": "1",
        # Each answer counts once: a webhook that was answered 503 is the provider's to repeat.
        "nginx.ingress.kubernetes.io/proxy-next-upstream": "error",
    }
    """Body size and timeouts are annotations of the controller: those of ingress-nginx as shipped.
    Giving this key replaces all of them."""

    tls: bool = True
    """Whether routes name a Secret with a certificate."""

    tls_secret_name: ObjectName | None = None
    """The certificate of the default host. Other hosts use a Secret named after the host, as
    cert-manager makes it: `<name>-tls-<hash>`. None: the default host has one named so too."""


class GatewayParent(SettingsGroup):
    """A Gateway, or one of its listeners."""

    name: ObjectName
    namespace: ObjectName | None = None
    """None for Forebay's namespace."""

    section_name: str | None = None


class GatewaySettings(SettingsGroup):
    """Routes where the cluster has the Gateway API."""

    parent_refs: tuple[GatewayParent, ...] = ()
    """Needed for HTTPRoutes; without it an Ingress is made, whatever the cluster has."""

    request_timeout_seconds: Annotated[int, Field(ge=1)] = 4
    """Longer than the receiver's budget of 2.5 s, shorter than the 5 s of 360dialog."""


class RouteSettings(SettingsGroup):
    """How webhooks get into the cluster."""

    kind: Literal["Auto", "HTTPRoute", "Ingress", "None"] = "Auto"
    """`Auto`: HTTPRoute where the Gateway API is installed and `gateway.parentRefs` is given, else
    Ingress. `None`: the routes are someone else's business."""

    ingress: IngressSettings = IngressSettings()
    gateway: GatewaySettings = GatewaySettings()
