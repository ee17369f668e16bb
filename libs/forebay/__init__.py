"""Forebay: WhatsApp Business webhooks, stored before they are answered, delivered once.

This package holds what all parts share. `forebay.core` is pure (formats, names, keys),
`forebay.runtime` talks to the outside (settings, logs, metrics, NATS), and `forebay.cli` is the
`forebay` command.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
