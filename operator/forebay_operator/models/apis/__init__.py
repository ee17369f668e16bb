"""Kinds that lightkube does not have, typed like its own: a module for each API."""
