"""Plays 360dialog and Meta towards a webhook URL: signs, batches, repeats, retries, and counts.

    plan               what to play, checked
    payloads           made-up webhooks, as many as wanted
    recorded_webhooks  webhooks from files as they stand, in turns
    expected_keys      the keys of a body's items, by the corpus' table
    provider_headers   the headers that a provider sends
    schedule           when to send, retry and repeat
    sender             HTTP
    simulation         all of it together
    ledger             which item was accepted
    report             the figures at the end
    terminal           a run as `forebay simulate` shows it

Tests and tools call `simulate(plan)` and compare the result's keys with what a destination got.
"""

from forebay_simulator.ledger import WebhookRecord
from forebay_simulator.plan import Plan
from forebay_simulator.report import AckLatency, Result
from forebay_simulator.simulation import simulate

__all__ = ["AckLatency", "Plan", "Result", "WebhookRecord", "simulate"]
