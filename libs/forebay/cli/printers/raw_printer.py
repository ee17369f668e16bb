"""What `forebay raw show` shows of a webhook: for people, or JSON for programs."""

import sys

import msgspec

from forebay.cli.printers.output_formatting import CELL
from forebay.core.masking import printable
from forebay.runtime.jetstream.api import StoredMessage
from forebay.views.webhooks import webhook_body, webhook_facts

__all__ = ["print_webhook"]


def print_webhook(stored: StoredMessage, shard: str, *, as_json: bool, reveal: bool) -> None:
    """Print one; what people wrote, and signatures, only where it is revealed."""
    facts = webhook_facts(stored, shard, reveal=reveal)
    body = webhook_body(stored, reveal=reveal)
    if as_json:
        # By msgspec: a number that nobody can hold is in the body as it came.
        _write(msgspec.json.encode({**facts, "body": body}).decode())
        return
    headers = facts.pop("headers")
    for name, value in (*facts.items(), *headers.items()):
        if value is not None:
            _write(f"{printable(name, CELL):<22} {printable(str(value), CELL)}")
    _write("")
    if isinstance(body, str):
        _write(body)
        return
    text = msgspec.json.format(msgspec.json.encode(body), indent=2)
    for line in text.decode().split("\n"):
        _write(line)


def _write(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
