"""Decisions without I/O: who may come in."""
