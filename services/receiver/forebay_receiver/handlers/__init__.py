"""The edges: the webhook path (bare ASGI) and the admin port (FastAPI)."""
