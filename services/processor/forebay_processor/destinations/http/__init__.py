"""Destination `http`: its connections and requests."""
