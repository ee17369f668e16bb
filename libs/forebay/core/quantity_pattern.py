"""The form of Kubernetes quantities, such as `500m` or `256Mi`."""

from typing import Final

__all__ = ["QUANTITY"]

QUANTITY: Final = r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?"
"""The forms that we take, as in the CRD and the chart's schema: less than Kubernetes does."""
