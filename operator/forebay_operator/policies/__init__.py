"""Decisions: pure functions that say whether an endpoint is accepted, and who holds a host."""
