"""What the records of the tables have in common, and what several kinds of destination have."""

import msgspec

__all__ = ["HttpTls", "TableRecord"]


class TableRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What all records of a table have in common.

    They hold no cycles, so the garbage collector need not visit them: reading 10,000 endpoints
    made it stop everything for 20 to 80 ms.
    """


class HttpTls(TableRecord, frozen=True, kw_only=True):
    """What is different from the system's way of TLS; empty text where nothing is."""

    ca: str = ""
    """Certificates in PEM."""

    certificate: str = ""
    """Ours, in PEM; with `key` or not at all."""

    key: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
