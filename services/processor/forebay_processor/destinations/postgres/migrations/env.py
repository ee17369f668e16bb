"""What Alembic runs to bring a schema up to date; on a connection that it is lent."""

from alembic import context

from forebay_processor.destinations.postgres.statements import VERSION_TABLE

_CONFIG = context.config

context.configure(
    connection=_CONFIG.attributes["connection"],
    version_table=VERSION_TABLE,
    version_table_schema=_CONFIG.attributes["schema"],
)
# The lock on the schema is the transaction's, which whoever lent the connection began and ends.
with context.begin_transaction():
    context.run_migrations()
