"""The edges: requests of the API, and the admin port. FastAPI."""
