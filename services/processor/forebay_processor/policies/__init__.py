"""Decisions as pure functions: no client, clock or environment inside."""
