"""Endpoints and settings for the operator's unit tests, from `tests/data/input/operator`."""

from pathlib import Path

import yaml

from forebay.core.compile import compile_endpoint, compile_route
from forebay.core.resource import WebhookEndpoint, parse_endpoint
from forebay.core.tables import ProcessorEndpoint, ReceiverRoute
from forebay_operator.settings.config import OperatorConfig, read_config

__all__ = ["INPUT", "installation", "processing_of", "read_manifest", "route_of"]

INPUT = Path(__file__).parents[2] / "data" / "input" / "operator"


def installation(**changes: object) -> OperatorConfig:
    """Return the settings of the test data; keywords replace groups of them."""
    return read_config(INPUT / "config.yaml").model_copy(update=changes)


def read_manifest(name: str) -> WebhookEndpoint:
    """Return an endpoint of the test data."""
    return parse_endpoint(yaml.safe_load((INPUT / f"{name}.yaml").read_text()))


def route_of(manifest: WebhookEndpoint) -> ReceiverRoute:
    """Return what receivers are to know of an endpoint; every secret says the same."""
    return compile_route(manifest, lambda _namespace, _name, _key: "s3cret")


def processing_of(manifest: WebhookEndpoint) -> ProcessorEndpoint:
    """Return what processors are to know of an endpoint; every secret says the same."""
    return compile_endpoint(manifest, lambda _namespace, _name, _key: "s3cret")
