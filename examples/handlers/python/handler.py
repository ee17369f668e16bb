"""A destination for Forebay: verifies, handles each event once, and answers.

Python 3.11, no packages:

    FOREBAY_SECRET=whsec_... python handler.py 8000
"""

import base64
import hmac
import json
import os
import sys
import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["FOREBAY_SECRET"].removeprefix("whsec_"))
TOLERANCE_SECONDS = 300
MOST_BYTES = 8 * 1024 * 1024
REMEMBERED = 100_000  # ids; events come again within minutes, if at all


def handle(event: dict) -> None:
    """Do your work here. Raise, and the event comes again later."""
    names = ("id", "type", "itemtype", "subject")
    sys.stdout.write(json.dumps({name: event.get(name) for name in names}) + "\n")
    sys.stdout.flush()


class Seen:
    """Which events were handled. Several processes need one table with a unique key instead."""

    def __init__(self) -> None:
        self.lock, self.done, self.busy = threading.Lock(), {}, set()

    def once(self, event: dict) -> bool:
        """Handle an event unless it was; False where another thread is at it just now."""
        with self.lock:
            if event["id"] in self.done:
                return True
            if event["id"] in self.busy:
                return False
            self.busy.add(event["id"])
        try:
            handle(event)
        finally:
            with self.lock:
                self.busy.discard(event["id"])
        with self.lock:  # only now: what failed has to come again
            self.done[event["id"]] = True
            if len(self.done) > REMEMBERED:
                del self.done[next(iter(self.done))]
        return True


SEEN = Seen()


def is_signed(headers: Message, body: bytes) -> bool:
    """Say whether one of the signatures is ours (Standard Webhooks)."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    ours = "v1," + base64.b64encode(hmac.digest(KEY, content, "sha256")).decode()
    given = headers.get("webhook-signature", "").split()
    return any(hmac.compare_digest(ours.encode(), each.encode()) for each in given)


def answer_to(headers: Message, body: bytes) -> int:
    """Return the status for a request."""
    if not is_signed(headers, body):
        return 401  # Forebay sends nothing more until the secret is put right
    if abs(time.time() - int(headers["webhook-timestamp"])) > TOLERANCE_SECONDS:
        return 408  # recorded and sent again, or a clock is wrong: no reason to stop for good
    try:
        posted = json.loads(body)
        events = posted if isinstance(posted, list) else [posted]
        is_known = all(isinstance(event["id"], str) for event in events)
    except (ValueError, TypeError, KeyError):
        is_known = False
    if not is_known:
        return 400  # becomes a dead letter
    try:
        answers = [SEEN.once(event) for event in events]
    except Exception as error:  # whatever it is, the event has to come again
        sys.stderr.write(f"failed: {error!r}\n")
        return 500
    return 204 if all(answers) else 503


class WebhookHandler(BaseHTTPRequestHandler):
    """Answers requests."""

    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self) -> None:
        """Answer a delivery."""
        length = int(self.headers.get("content-length", 0))
        if length > MOST_BYTES:
            self.close_connection = True
            status = 413
        else:
            status = answer_to(self.headers, self.rfile.read(length))
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), WebhookHandler).serve_forever()
