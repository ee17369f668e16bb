"""The figures at the end of a run, for people (a table) and for programs (one JSON object)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from forebay_simulator.ledger import WebhookRecord

__all__ = ["AckLatency", "Result", "percentile"]

NOTICEABLE_LAG_MS: Final = 50.0
"""Above this lag of the sender the table says so: the latencies hold it, too."""


_WHY: Final = (
    "the receiver counts the reason in forebay_receiver_refused_total{reason} on its admin port "
    "(http://127.0.0.1:9090/metrics with `forebay run`)"
)

_ADVICE: Final[Mapping[str, str]] = {
    "connection": "Nothing listens there: start `forebay run`, or correct host and port of --url.",
    "timeout": "Nothing answers there in time: look at what listens at --url.",
    "401": "The credentials are missing or wrong: --secret takes the secret of the endpoint's "
    "`signature`, --header what its `headers` or `basic` ask for; a client certificate cannot be "
    "sent from here; " + _WHY + ".",
    "403": "Forebay answers no webhook so: a proxy or a firewall before it does; look there, or "
    "give the receiver's own address by --url.",
    "404": "There is no such endpoint: the path of --url is /v1/webhooks/<namespace>/<name>.",
    "503": "The receiver cannot store: is NATS there, and has its stream room? " + _WHY + ".",
}
"""What to do where no webhook was accepted, by what most of them were answered."""

_OTHER_ADVICE: Final = "None was accepted; " + _WHY + "."


@dataclass(frozen=True, slots=True, kw_only=True)
class AckLatency:
    """Milliseconds from the scheduled moment to the end of a 200; None where there was none."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "AckLatency":
        """Sum up latencies."""
        if not seconds:
            return cls(p50=None, p95=None, p99=None, max=None)
        ordered = sorted(seconds)
        p50, p95, p99, top = (
            round(percentile(ordered, share) * 1000, 3) for share in (0.5, 0.95, 0.99, 1.0)
        )
        return cls(p50=p50, p95=p95, p99=p99, max=top)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the sorted values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a run."""

    sent: int
    """Distinct webhooks."""

    accepted: int
    """Distinct webhooks that got a 200 in the end."""

    refused: Mapping[str, int]
    """Sendings that got no 200, by status, or `timeout` and `connection` where none came."""

    repeats: int
    """Sendings of a webhook that was sent already, on purpose."""

    retries: int
    """Sendings of a webhook because it was refused."""

    items: int
    """Distinct items in the distinct webhooks."""

    ack_ms: AckLatency
    """Of scheduled sendings that were answered 200 at the first attempt."""

    seconds: float
    """From the first webhook to the last answer."""

    behind_ms: float
    """How late the sender itself was at worst: it is part of the latencies."""

    planned: int
    """Sendings that the schedule holds."""

    started: int
    """Those that were made: fewer when the run was ended early."""

    seed: int
    """Gives the same webhooks again."""

    ledger: tuple[WebhookRecord, ...] = ()
    """One record per distinct webhook, where the plan asked for it."""

    @property
    def lost(self) -> int:
        """Distinct webhooks that were never answered 200."""
        return self.sent - self.accepted

    @property
    def accepted_keys(self) -> frozenset[str]:
        """The keys of all items that were accepted: those that a destination has to get."""
        return frozenset(key for record in self.ledger if record.accepted for key in record.keys)

    def to_json(self) -> str:
        """Return the figures as one line of JSON."""
        figures = {
            "sent": self.sent,
            "accepted": self.accepted,
            "refused": dict(sorted(self.refused.items())),
            "repeats": self.repeats,
            "retries": self.retries,
            "items": self.items,
            "ack_ms": self.ack_ms,
            "seconds": round(self.seconds, 3),
            "behind_ms": round(self.behind_ms, 3),
            "seed": self.seed,
        }
        return msgspec.json.encode(figures).decode()

    def to_table(self) -> RenderableType:
        """Return it as a table for a person."""
        table = Table(box=box.ROUNDED, show_header=False, pad_edge=True, title="Webhooks")
        table.add_column(style="bold")
        table.add_column(justify="right")
        table.add_column(style="dim")
        table.add_row("sent", f"{self.sent:,}", f"with {self.items:,} items")
        table.add_row("accepted", self._accepted_cell(), self._accepted_note())
        if not self.refused:
            table.add_row("refused", "0", "every answer was a 200")
        for status, count in sorted(self.refused.items()):
            table.add_row(f"refused: {status}", f"[yellow]{count:,}[/]", "answers")
        table.add_row("retries", f"{self.retries:,}", "sent again because refused")
        table.add_row("repeats", f"{self.repeats:,}", "sent again on purpose", end_section=True)
        latency = self.ack_ms
        for name, value in (
            ("p50", latency.p50),
            ("p95", latency.p95),
            ("p99", latency.p99),
            ("max", latency.max),
        ):
            table.add_row(f"ack {name}", "-" if value is None else f"{value:,.1f} ms", "")
        return Group(table, *self._notes())

    @property
    def advice(self) -> str:
        """What to do where nothing at all was accepted; empty where something was."""
        if self.accepted or not self.refused:
            return ""
        most = max(self.refused, key=lambda status: self.refused[status])
        return _ADVICE.get(most, _OTHER_ADVICE)

    def _accepted_cell(self) -> str:
        return f"[{'red' if self.lost else 'green'}]{self.accepted:,}[/]"

    def _accepted_note(self) -> str:
        return f"{self.lost:,} never answered 200" if self.lost else "all of them"

    def _notes(self) -> list[Text]:
        notes = [Text(advice, style="yellow")] if (advice := self.advice) else []
        notes += [Text(f"In {self.seconds:,.1f} s; --seed {self.seed} sends the same again.")]
        if self.started < self.planned:
            notes.append(Text(f"Ended early: {self.started:,} of {self.planned:,} webhooks."))
        if self.behind_ms > NOTICEABLE_LAG_MS:
            notes.append(
                Text(
                    f"The sender was up to {self.behind_ms:,.0f} ms behind its schedule; that is "
                    "part of the latencies above.",
                    style="yellow",
                )
            )
        return notes
