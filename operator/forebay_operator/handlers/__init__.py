"""The edges: kopf's watches in, the admin port out. Each parses and calls one thing."""
