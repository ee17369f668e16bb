"""The receiver's settings: `FOREBAY_RECEIVER_*`."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay.core.field_types import HeaderName

__all__ = ["CertificateForm", "ReceiverSettings"]

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Host = Annotated[str, Field(min_length=1)]

CertificateForm = Literal["subject", "name", "xfcc", "traefik"]
"""The form in which a proxy's header holds a client certificate:

- `subject`: its distinguished name by RFC 4514, such as `CN=a.example.com,O=Acme` (ingress-nginx's
  `ssl-client-subject-dn`, AWS' `X-Amzn-Mtls-Clientcert-Subject`);
- `name`: one name and nothing else (HAProxy with `%[ssl_c_s_dn(cn)]`);
- `xfcc`: Envoy's `x-forwarded-client-cert` with `Subject` or `DNS` (Istio, Contour);
- `traefik`: Traefik's `X-Forwarded-Tls-Client-Cert-Info` with the subject's common name.
"""


class ReceiverSettings(BaseSettings):
    """How one receiver process serves."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_RECEIVER_", frozen=True)

    host: Host = "::"
    """Where webhooks come in: an address of this machine, or `::` for all of them, of IPv6 and
    IPv4; a container is reached by its Service."""

    port: Port = 8080
    """TCP port for webhooks; 0 for any that is free."""

    admin_host: Host = "::"
    """Where probes and metrics are served, to the kubelet and Prometheus; no route from outside
    the cluster leads here."""

    admin_port: Port = 9090
    """TCP port for probes and metrics; 0 for any that is free."""

    budget_seconds: Seconds = 2.5
    """From a request's first byte to its answer: half of the 5 s after which 360dialog gives a
    webhook up, so that a gateway before us still has time."""

    body_seconds: Seconds = 2.0
    """For a head and its body to arrive: the providers send from data centres; who needs longer
    holds a place that others need. Where it is longer than the budget, the budget counts."""

    max_body_bytes: Positive = 4 * 1024 * 1024
    """The providers' largest body is 3 MB. `max_payload` of NATS has to be 32 KiB larger."""

    idle_seconds: Seconds = 75.0
    """For the next request on a connection: longer than the idle time of common load balancers
    (60 s), so that they end a connection first and never send a webhook into one that is just
    closing."""

    max_connections: Positive = 4096
    """Open at one time; a further one gets 503. A gateway needs about one for each webhook in
    flight, so twice `max_in_flight`: idle ones come on top. Lowered to what the process may open
    (`ulimit -n`) where that is less."""

    max_connection_seconds: Seconds = 300.0
    """Age of a connection after which its next answer closes it, so that new replicas get their
    share of the traffic."""

    max_in_flight: Positive = 2048
    """Webhooks of all endpoints that are being stored at one time; one endpoint gets three quarters
    at most. At 1,000 webhooks/s and the budget of 2.5 s more would wait only to be refused."""

    max_in_flight_bytes: Positive = 128 * 1024 * 1024
    """Bytes of bodies that are being stored at one time; half as much again may be half read. It
    bounds the memory of the process."""

    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """After SIGTERM, how long to go on serving: load balancers need a moment to choose other pods.
    Lower than the pod's `terminationGracePeriodSeconds` by the budget at least."""

    client_certificate_header: HeaderName | None = None
    """The header in which the proxy in front passes on a TLS client certificate that it has
    verified. None: no header is trusted, and an endpoint that asks for a certificate refuses all.
    The proxy has to set or remove it on every request, and nobody else may reach the port."""

    client_certificate_form: CertificateForm = "subject"
    """The form of that header: see `CertificateForm`."""

    client_certificate_verified: Annotated[str, Field(pattern=r"^[^=\s]+=[!-~]+$")] | None = None
    """A header and the value that it has to have beside a certificate, such as
    `ssl-client-verify=SUCCESS`: for proxies that also pass on certificates that failed."""

    @field_validator("client_certificate_verified")
    @classmethod
    def _stands_beside_a_header(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("client_certificate_header") is None:
            message = "alone it does nothing: set FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER too"
            raise ValueError(message)
        return value

    @property
    def reading_seconds(self) -> float:
        """For a request to arrive, whichever limit comes first."""
        return min(self.body_seconds, self.budget_seconds)

    @property
    def max_reserved_bytes(self) -> int:
        """Bytes of bodies that may be half read, or wait for their turn."""
        return self.max_in_flight_bytes // 2

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.max_in_flight_bytes < 2 * self.max_body_bytes:
            # Half of it is for bodies that are being read, and one of the largest has to fit.
            message = (
                "FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES has to be at least twice "
                "FOREBAY_RECEIVER_MAX_BODY_BYTES"
            )
            raise ValueError(message)
        return self
