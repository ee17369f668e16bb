"""Destination `python`: modules with handlers, and what runs them."""
