"""Destination `nats`: its connections."""
