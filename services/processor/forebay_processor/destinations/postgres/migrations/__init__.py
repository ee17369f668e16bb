"""The versions of the tables of destinations `postgres`, for Alembic."""
