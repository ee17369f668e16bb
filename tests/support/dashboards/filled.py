"""A query with Grafana's variables filled in, as Grafana sends it to Prometheus."""

from typing import Final

__all__ = ["filled"]

_DEFAULTS: Final = {
    "$__rate_interval": "1m",
    "$destination": ".*",
    "$namespace": "demo",
    "$endpoint": "meta",
}


def filled(expr: str, **values: str) -> str:
    """Return a query without variables.

    Args:
        expr: As it stands in a dashboard.
        values: Values of variables, by name without `$`; `rate_interval` is Grafana's own.
    """
    given = {
        f"${'__' if name == 'rate_interval' else ''}{name}": each for name, each in values.items()
    }
    for name, value in (_DEFAULTS | given).items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr
