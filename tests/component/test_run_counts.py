"""What the screen of `forebay run` counts: from the parts' metrics and the processor's log."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from forebay.local.addresses import Address
from forebay.local.metrics_reader import LogTail, MetricsReader
from support.programs.ports import HOST, free_port


class _Pages(ThreadingHTTPServer):
    """Serves one text at /metrics."""

    text = ""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # http.server's name
        """Answer with the text."""
        assert isinstance(self.server, _Pages)
        body = self.server.text.encode()
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # type: ignore[explicit-override]  # Python 3.12's
        """Print nothing."""


@contextlib.contextmanager
def pages() -> Iterator[_Pages]:
    with _Pages((HOST, 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def requests(outcome: str, count: int) -> str:
    labels = f'namespace="demo",endpoint="meta",outcome="{outcome}"'
    return (
        "# TYPE forebay_receiver_requests counter\n"
        f"forebay_receiver_requests_total{{{labels}}} {count}.0\n"
        f"forebay_receiver_requests_created{{{labels}}} 1.79e9\n"
    )


def processor(metric: str, **labels: str) -> str:
    every = {"namespace": "demo", "endpoint": "meta", **labels}
    text = ",".join(f'{name}="{value}"' for name, value in every.items())
    return f"forebay_processor_{metric}{{{text}}} 3\n"


async def test_figures_are_the_sums_over_kinds_and_destinations() -> None:
    with pages() as receiver, pages() as worker:
        receiver.text = "".join(
            requests(outcome, count)
            for outcome, count in [("stored", 5), ("duplicate", 2), ("refused", 1)]
        )
        receiver.text += requests("stored", 0).replace("meta", "idle")
        receiver.text += requests("refused", 4).replace("demo", "").replace("meta", "")
        worker.text = (
            processor("items_total", lane="live", kind="messages", outcome="new")
            + processor("items_total", lane="live", kind="messages", outcome="repeat")
            + processor("deliveries_total", destination="crm", outcome="delivered")
            + processor("deliveries_total", destination="log", outcome="delivered")
            + processor("deliveries_total", destination="crm", outcome="dead")
            + processor("parked_items", destination="crm")
            + "forebay_processor_delivery_seconds_bucket{pool='x'} nonsense\n"
        )
        addresses = (Address(HOST, receiver.server_port), Address(HOST, worker.server_port))
        rows = await MetricsReader(addresses).read()
    assert set(rows) == {"demo/meta", "(no endpoint)"}
    assert rows["(no endpoint)"].refused == 4
    row = rows["demo/meta"]
    assert (row.received, row.stored, row.repeats, row.refused) == (8, 5, 2, 1)
    assert (row.items, row.delivered, row.dead, row.waiting) == (3, 6, 3, 3)


async def test_totals_go_on_when_a_part_starts_again_or_does_not_answer() -> None:
    with pages() as receiver:
        metrics = MetricsReader((Address(HOST, receiver.server_port), Address(HOST, free_port())))
        receiver.text = requests("stored", 5)
        await metrics.read()
        receiver.text = requests("stored", 2)  # forgotten meanwhile: it counts from zero
        row = (await metrics.read())["demo/meta"]
    assert row.received == 7
    assert row.rate > 0
    assert (await metrics.read())["demo/meta"].received == 7


def life(part: str, started: float) -> str:
    name = f"forebay_{part}_start_time_seconds"
    return f"# TYPE {name} gauge\n{name} {started}\n"


async def test_what_a_part_counts_anew_adds_up_also_where_it_is_more_than_before() -> None:
    with pages() as receiver, pages() as worker:
        addresses = (Address(HOST, receiver.server_port), Address(HOST, worker.server_port))
        metrics = MetricsReader(addresses)
        delivered = processor("deliveries_total", destination="crm", outcome="delivered")
        receiver.text = life("receiver", 1.79e9) + requests("stored", 5)
        worker.text = life("processor", 1.79e9) + delivered
        await metrics.read()
        # Killed: its counters begin at zero and are past the old ones at the next reading.
        worker.text = life("processor", 1.79e9 + 7.25) + delivered.replace(" 3", " 8")
        for _ in range(2):
            row = (await metrics.read())["demo/meta"]
            assert (row.delivered, row.received) == (11, 5)
        # Killed again, with nothing delivered since.
        worker.text = life("processor", 1.79e9 + 9.5)
        assert (await metrics.read())["demo/meta"].delivered == 11


def item(key: str, **fields: object) -> str:
    record = {
        "event": "item",
        "namespace": "demo",
        "endpoint": "meta",
        "kind": "messages",
        "type": "text",
        "key": key,
        "latency_ms": 4.2,
        "timestamp": "2026-11-23T08:41:46.123Z",
        **fields,
    }
    return json.dumps(record) + "\n"


def test_the_newest_items_of_the_log_are_read_once_each(tmp_path: Path) -> None:
    log = tmp_path / "processor.log"
    log.write_text(item("of an earlier run"))
    tail = LogTail(log)
    assert tail.read(3) == []
    half = item("e")
    with log.open("a") as writer:
        writer.write(item("a") + '{"event": "started"}\nnot "item" JSON\n')
        writer.write(item("b") + item("c") + item("d") + half[:20])
        writer.flush()
        assert [each.key for each in tail.read(3)] == ["b", "c", "d"]
        writer.write(half[20:])
    [last] = tail.read(3)
    assert (last.key, last.endpoint, last.at, last.latency_ms) == (
        "e",
        "demo/meta",
        "08:41:46",
        4.2,
    )
    assert tail.read(3) == []


def test_a_log_that_was_put_aside_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "processor.log"
    tail = LogTail(log)
    assert tail.read(3) == []
    log.write_text(item("a") + item("b"))
    assert len(tail.read(3)) == 2
    log.write_text(item("c"))
    assert [each.key for each in tail.read(3)] == ["c"]
