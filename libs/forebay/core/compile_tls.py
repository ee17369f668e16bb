"""From a manifest's TLS to a table's: what it is held to stands in the Secrets."""

from forebay.core.secret_value_checks import SecretValues
from forebay.core.spec_base import SecretSource
from forebay.core.table_records import HttpTls
from forebay.core.tls_spec import TlsSpec
from forebay.core.validation_errors import Path

__all__ = ["tls_record"]


def tls_record(values: SecretValues, path: Path, spec: TlsSpec) -> HttpTls:
    """Return what processors get; a Secret that cannot be used is noted in `values`."""

    def pem(field: str, source: SecretSource | None, ending: str) -> str:
        return "" if source is None else values.pem((*path, field), source, ending)

    return HttpTls(
        ca=pem("ca", spec.ca, "CERTIFICATE"),
        certificate=pem("certificate", spec.certificate, "CERTIFICATE"),
        key=pem("key", spec.key, "PRIVATE KEY"),
        server_name=spec.server_name or "",
        insecure_skip_verify=spec.insecure_skip_verify,
    )
