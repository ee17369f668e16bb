"""Webhooks of made-up statuses, and the `webhook-id`s that their items have."""

import hashlib
import json

from support.processor.processor_harness import CHANNEL

__all__ = ["status_key", "status_webhook"]


def status_webhook(message: str, *statuses: str, **more: str) -> bytes:
    """Return a webhook of statuses of one message; `more` stands in each of them."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009000", "phone_number_id": CHANNEL},
        "statuses": [
            {
                "id": message,
                "status": status,
                "timestamp": "1795165201",
                "recipient_id": "15550001234",
                **more,
            }
            for status in statuses
        ],
    }
    entry = {"id": "104700000000701", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def status_key(message: str, status: str) -> str:
    """Return the `webhook-id` of a status, as the corpus' table says."""
    return hashlib.sha256(f"st:{CHANNEL}:{message}:{status}".encode()).hexdigest()[:32]
