"""Destination `postgres`: its connections, statements and tables."""
