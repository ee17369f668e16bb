"""Certificates of the test's own, for a server on the loopback address."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from support.programs.ports import HOST

__all__ = ["Certificate", "make_certificate"]


class Certificate(NamedTuple):
    """A certificate that signs itself, so it is its own authority."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str) -> Certificate:
    """Make a certificate for this machine's loopback address."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=IP:{HOST}"),
            *("-out", str(made.certificate), "-keyout", str(made.key)),
        ],
        check=True,
        capture_output=True,
    )
    return made
