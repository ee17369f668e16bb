"""Starts a part's traces, if there are to be any. For the `main` of a part."""

import os

from forebay.runtime.tracing import Tracer, TraceSettings, otlp_endpoint

__all__ = ["start_tracing"]


def start_tracing(part: str, settings: TraceSettings) -> Tracer | None:
    """Return the tracer of a part; None where nothing is traced, and nothing was imported for it.

    Raises:
        ConfigurationError: where the environment's variables cannot be used.
    """
    endpoint = otlp_endpoint(os.environ)
    if endpoint is None:
        return None
    from forebay.runtime.span_export import otlp_sink  # noqa: PLC0415  # 0.1 s and 15 MB

    return Tracer(settings, otlp_sink(endpoint, part, settings.queue_spans))
