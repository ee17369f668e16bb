"""TLS as a destination's manifest wants it: its authority, our certificate, or no check at all."""

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forebay.core.tables import HttpTls
from forebay.runtime.certificate_expiry import authorities_text

__all__ = ["UnusableTls", "tls_context"]


class UnusableTls(ValueError):  # noqa: N818  # named for what it is about
    """Certificates or a key that cannot be used; the message names the field."""


def tls_context(tls: HttpTls) -> ssl.SSLContext:
    """Return the context for one destination.

    Raises:
        UnusableTls: where a certificate or key cannot be read, or they do not belong together.
    """
    try:
        context = ssl.create_default_context(cadata=authorities_text(tls.ca) or None)
    except (ssl.SSLError, ValueError) as error:
        message = "tls.ca cannot be read: give certificates in PEM"
        raise UnusableTls(message) from error
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate:
        try:
            with _as_file(f"{tls.certificate}\n{tls.key}\n") as path:
                # An empty password, or the library would ask the terminal for one.
                context.load_cert_chain(path, password="")
        except (ssl.SSLError, ValueError) as error:
            message = (
                "tls.certificate and tls.key cannot be used: give a certificate and its own key "
                "in PEM, the key without a password"
            )
            raise UnusableTls(message) from error
    return context


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """Lend a text to a library that reads files only.

    In memory where the system can do that: a container's file system may be read-only, and a key
    has no business on a disk.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "certificate"
        path.touch(mode=0o600)
        path.write_text(text)
        yield str(path)
