"""Certificates of one test, made by the machine's openssl: an authority and what it signs."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Certificate"]

_DAYS = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its key, in PEM."""

    path: Path
    key_path: Path

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.path.read_text()

    @property
    def key(self) -> str:
        """Its private key."""
        return self.key_path.read_text()


class Authority:
    """Signs certificates; trusted by nobody who is not told to."""

    def __init__(
        self, folder: Path, name: str = "authority", days: int = int(_DAYS), url: str = ""
    ) -> None:
        """Make its key and certificate in a folder.

        Args:
            folder: Which one.
            name: Its common name, and the name of its files.
            days: After which it ends.
            url: Where its list of revoked ones is; empty for none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        own = ("-addext", f"crlDistributionPoints=URI:{url}") if url else ()
        self._own = self._make(name, "-x509", "-days", str(days), "-subj", f"/CN={name}", *own)

    @property
    def pem(self) -> str:
        """The authority's certificate."""
        return self._own.pem

    def issue(self, name: str, alternative: str) -> Certificate:
        """Sign a certificate.

        Args:
            name: Its common name, and the name of its files.
            alternative: What it is for, as openssl writes it: `DNS:crm.example.com`.
        """
        own = ("-CA", str(self._own.path), "-CAkey", str(self._own.key_path))
        extension = ("-addext", f"subjectAltName={alternative}")
        return self._make(name, "-x509", "-days", _DAYS, "-subj", f"/CN={name}", *own, *extension)

    def server_context(self, certificate: Certificate, *, asks: bool) -> ssl.SSLContext:
        """Return TLS of a server, which may ask for a certificate of this authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.pem)
        context.load_cert_chain(certificate.path, certificate.key_path)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _make(self, name: str, *arguments: str) -> Certificate:
        made = Certificate(path=self._folder / f"{name}.pem", key_path=self._folder / f"{name}.key")
        subprocess.run(
            [
                "openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", str(made.key_path), "-out", str(made.path), *arguments,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return made
