"""`forebay status`: what the run of a data folder is doing, once.

A run leaves a record in its folder when it is ready; the figures are asked of its parts.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from rich.console import Console
from rich.text import Text

from forebay.core.errors import ForebayError
from forebay.local.addresses import Address
from forebay.local.folder import owner_of, write_private
from forebay.local.metrics_reader import EndpointCounts, MetricsReader, get
from forebay.local.reporters import Facts
from forebay.local.screen import View, picture
from forebay.local.troubles import DestinationStates, read_destinations, span, troubles_of

__all__ = ["NothingRuns", "RunRecord", "RunStatus", "document", "read_status", "show"]

RECORD: Final = "run.json"


class NothingRuns(ForebayError):  # noqa: N818  # named for what is so
    """There is no run of this folder."""


class RecordedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of a run."""

    endpoint: str
    provider: str
    url: str
    destinations: tuple[str, ...]


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run leaves in its folder: no secret, and so no `curl` line."""

    version: str
    pid: int
    started: float
    """Seconds since 1970."""

    receiver: str
    """The URL of its admin pages."""

    processor: str
    endpoints: tuple[RecordedEndpoint, ...]

    @classmethod
    def of(cls, facts: Facts, started: float) -> "RunRecord":
        """Return the record of a run that is ready."""
        return cls(
            version=facts.version,
            pid=facts.pids["run"],
            started=started,
            receiver=facts.receiver_admin,
            processor=facts.processor_admin,
            endpoints=tuple(
                RecordedEndpoint(
                    endpoint=each.endpoint,
                    provider=each.provider,
                    url=each.url,
                    destinations=each.destinations,
                )
                for each in facts.samples
            ),
        )

    def write(self, folder: Path) -> None:
        """Leave it in a data folder."""
        write_private(folder / RECORD, msgspec.json.encode(self))

    @staticmethod
    def remove(folder: Path) -> None:
        """Take it away: the run is over."""
        (folder / RECORD).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """Return the record of the run of a folder.

        Raises:
            NothingRuns: where there is none, or not yet.
        """
        try:
            record = msgspec.json.decode((folder / RECORD).read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            record = None
        owner = owner_of(folder)
        if owner is None:  # the record of one that was killed stays behind
            message = (
                f"nothing runs in {folder}: start it with `forebay run`, or name the folder of "
                "another run with --data-dir"
            )
            raise NothingRuns(message)
        if record is None:
            message = f"the run in {folder} (process {owner}) is not ready yet: wait a moment"
            raise NothingRuns(message)
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """What a run is doing."""

    record: RunRecord
    waiting_for: Mapping[str, Sequence[str]]
    """What keeps each part from being ready, in words; empty where it is."""

    rows: Mapping[str, EndpointCounts]
    states: DestinationStates


async def read_status(folder: Path) -> RunStatus:
    """Ask the run of a data folder.

    Raises:
        NothingRuns: where there is none.
    """
    record = RunRecord.read(folder)
    addresses = {"receiver": _address(record.receiver), "processor": _address(record.processor)}
    waiting_for = {part: await _waiting_for(address) for part, address in addresses.items()}
    return RunStatus(
        record=record,
        waiting_for=waiting_for,
        rows=await MetricsReader(tuple(addresses.values())).read(),
        states=await read_destinations(addresses["processor"]),
    )


async def _waiting_for(address: Address) -> Sequence[str]:
    answer = await get(address, "/readyz")
    if answer is None:
        return ["an answer on its admin port"]
    if answer[0] == HTTPStatus.OK:
        return []
    try:
        return [str(each) for each in json.loads(answer[1])["waiting_for"]]
    except (ValueError, KeyError, TypeError):
        return ["a readable answer"]


def _address(url: str) -> Address:
    parts = urlsplit(url)
    return Address(parts.hostname or "", parts.port or 0)


def show(status: RunStatus, console: Console) -> None:
    """Print a status for eyes."""
    record = status.record
    title = Text.assemble(
        ("▌ ", "cyan"),
        (f"Forebay {record.version}", "bold"),
        (f"   has run for {span(max(time.time() - record.started, 0))}   ", "green"),
        (f"process {record.pid}", "dim"),
    )
    view = View(
        title=title,
        endpoints=[each.endpoint for each in record.endpoints],
        rows=status.rows,
        troubles=troubles_of(status.states, status.rows),
        has_rates=False,
    )
    console.print(picture(view, console.width, None))
    for part, waiting in status.waiting_for.items():
        if waiting:
            console.print(Text(f"  ! the {part} waits for {', '.join(waiting)}", "yellow"))


def document(status: RunStatus) -> dict[str, Any]:
    """Return a status for programs; its names are kept."""
    record, paused = status.record, set(status.states.paused)
    served = {each.endpoint: each for each in record.endpoints}
    return {
        "version": record.version,
        "pid": record.pid,
        "uptime_seconds": round(max(time.time() - record.started, 0), 1),
        "parts": {
            part: {"ready": not waiting, "waiting_for": list(waiting)}
            for part, waiting in status.waiting_for.items()
        },
        "endpoints": [
            _endpoint(name, served.get(name), status.rows.get(name), is_paused=name in paused)
            for name in sorted({*served, *status.rows})
        ],
        "destinations": [asdict(each) for each in status.states.destinations],
    }


def _endpoint(
    name: str, served: RecordedEndpoint | None, row: EndpointCounts | None, *, is_paused: bool
) -> dict[str, Any]:
    counts = row or EndpointCounts()
    return {
        "endpoint": name,
        "provider": served.provider if served else None,
        "url": served.url if served else None,
        "destinations": list(served.destinations) if served else [],
        "paused": is_paused,
        "received": counts.received,
        "stored": counts.stored,
        "repeats": counts.repeats,
        "refused": counts.refused,
        "unavailable": counts.unavailable,
        "refused_reasons": counts.refused_reasons,
        "unreadable": counts.unreadable,
        "unreadable_reasons": counts.unreadable_reasons,
        "items": counts.items,
        "delivered": counts.delivered,
        "waiting": counts.waiting,
        "dead": counts.dead,
    }
