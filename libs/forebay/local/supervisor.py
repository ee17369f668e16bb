"""Brings all of Forebay up on this machine, keeps it up, and stops it in order.

Up: nats-server, its streams, then receiver and processor together. Down: the receiver first, so
that nothing new comes in; then the processor, which finishes what it has in hand; then NATS, which
keeps the rest for the next start.
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from forebay import __version__
from forebay.core.errors import ConfigurationError
from forebay.local import nats_server
from forebay.local.addresses import check_free
from forebay.local.child import Child, Command
from forebay.local.curl_lines import sample
from forebay.local.folder import DataFolder, write_private
from forebay.local.manifest_set import SHARD, CompiledTables, ManifestSet
from forebay.local.metrics_reader import LogTail, MetricsReader, get
from forebay.local.options import ADMIN_HOST, Options, Programs
from forebay.local.reporters import Facts, Reporter
from forebay.local.secret_sources import ENVIRONMENT_PREFIX
from forebay.local.status import RunRecord
from forebay.local.troubles import read_destinations
from forebay.runtime.periodic import periodically
from forebay.runtime.supervise import end_tasks

__all__ = ["LocalSupervisor"]

STARTING_POLL_SECONDS: Final = 0.03
WATCH_SECONDS: Final = 1.0
LOG_CARE_SECONDS: Final = 30.0
LATEST_READ: Final = 20

PATIENCE_SECONDS: Final = 15.0
"""After this a start that is not done is reported to be slow, with its log."""

EXTERNAL_NATS_SECONDS: Final = 1.0
"""How long a NATS that runs elsewhere may take to answer before the parts start without it: the
receiver then says honestly that it is not ready, and answers 503."""

PROVISION_AGAIN_SECONDS: Final = 0.5

STOP_SECONDS: Final = 20.0
"""For each part: longer than its own time for what is in flight."""

OWN_NETWORKS: Final = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""This machine and private networks, and not 169.254.0.0/16, where a cloud keeps credentials."""

PROCESSOR_NICENESS: Final = 5
"""Answering comes first: deliveries can wait for the CPU, a provider does not."""


class LocalSupervisor:
    """One run."""

    def __init__(
        self,
        options: Options,
        reporter: Reporter,
        environment: Mapping[str, str],
        programs: Programs | None = None,
    ) -> None:
        """Prepare a run; nothing happens before `run`.

        Args:
            options: What was chosen.
            reporter: Where to report what happens.
            environment: Of this process: secrets may be in it, and the parts inherit the rest.
            programs: What to start as each part; by default Forebay's own.
        """
        self._options = options
        self._reporter = reporter
        self._environment = environment
        self._programs = programs or Programs()
        self._folder = DataFolder(options.data_dir)
        self._manifests = ManifestSet(options.files, environment, reporter.warn)
        self._begun, self._started = time.monotonic(), time.time()
        self._nats_url = options.nats_url or ""
        self._nats_port = 0
        self._children: dict[str, Child] = {}
        self._child_tasks: list[asyncio.Task[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Bring all up and keep it up until SIGINT, SIGTERM or SIGHUP.

        Raises:
            ConfigurationError: where something that was given cannot be used.
            PartFailed: where a part does not stay up.
        """
        tables = self._manifests.load()
        with self._folder:
            self._place_nats()
            self._check_ports()
            self._write(tables)
            loop = asyncio.get_running_loop()
            signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            for number in signals:
                loop.add_signal_handler(number, self.request_stop)
            try:
                self._begin(self._serve(tables))
                await self._over
            finally:
                await self._stop()
                for number in signals:
                    loop.remove_signal_handler(number)

    # --- the beginning ---------------------------------------------------------------------------

    def _place_nats(self) -> None:
        """Write where this run's NATS will be, in the place of the run before.

        First of all: whoever looks for it while this run starts is not to find another one.
        """
        folder = self._folder
        if self._options.nats_url is not None:
            folder.nats_config.unlink(missing_ok=True)
            return
        self._nats_port = nats_server.free_port()
        self._nats_url = f"nats://{nats_server.HOST}:{self._nats_port}"
        config = nats_server.server_config(self._nats_port, folder.store, folder.log("nats"))
        write_private(folder.nats_config, config.encode())

    def _check_ports(self) -> None:
        options = self._options
        chosen = {
            "--port": options.receiver,
            "--admin-port": options.receiver_admin,
            "--processor-admin-port": options.processor_admin,
        }
        ports = [address.port for address in chosen.values()]
        if len(set(ports)) < len(ports):
            message = "--port, --admin-port and --processor-admin-port have to differ"
            raise ConfigurationError(message)
        for option, address in chosen.items():
            check_free(address, option)

    async def _serve(self, tables: CompiledTables) -> None:
        """Start everything, then watch it until cancelled."""
        if self._options.nats_url is None:
            await self._start_nats()
            await self._provision()
        else:
            provisioning = self._own(self._provision())
            done, _ = await asyncio.wait({provisioning}, timeout=EXTERNAL_NATS_SECONDS)
            if not done:
                self._reporter.warn(
                    f"waiting for NATS at {_without_credentials(self._nats_url)}: until it comes, "
                    "webhooks are answered 503 and the provider sends them again",
                )
        self._start_parts()
        await self._until(self._all_ready, "receiver and processor to be ready")
        # The counts start here: what earlier runs counted is not of this one.
        metrics = MetricsReader((self._options.receiver_admin, self._options.processor_admin))
        tail = LogTail(self._folder.log("processor"))
        facts = self._facts(tables)
        self._record(facts)
        self._reporter.ready(facts)
        self._begin(self._show(metrics, tail))
        self._begin(self._care_for_logs())
        await self._watch()

    async def _start_nats(self) -> None:
        program = nats_server.find_program()
        self._start("nats", (program, "--config", str(self._folder.nats_config)))
        await self._until(lambda: nats_server.greets(self._nats_port), "nats-server to start")

    async def _provision(self) -> None:
        """Make the streams; try again for as long as NATS does not answer."""
        # Late: NATS' client takes a while to import, and nats-server can start meanwhile.
        from forebay.runtime.jetstream.errors import StoreUnavailable
        from forebay.runtime.jetstream.streams import ShardConfig
        from forebay.runtime.provision_command import provision
        from forebay.runtime.settings import NatsSettings, load_settings

        if self._options.nats_url is None:
            settings = NatsSettings(
                url=self._nats_url,
                user=None,
                password=None,
                credentials=None,
                tls_ca=None,
            )
        else:
            settings = load_settings(NatsSettings).of_part("operator")
            settings = settings.model_copy(update={"url": self._nats_url})
        while True:
            try:
                return await provision(settings, ShardConfig(shard=SHARD))
            except StoreUnavailable:
                await asyncio.sleep(PROVISION_AGAIN_SECONDS)

    def _start_parts(self) -> None:
        self._start("processor", self._programs.processor, niceness=PROCESSOR_NICENESS)
        self._start("receiver", self._programs.receiver)

    def _start(self, name: str, arguments: tuple[str, ...], *, niceness: int = 0) -> None:
        command = Command(
            name=name,
            arguments=arguments,
            environment=self._part_environment(name),
            log=self._folder.log(name),
            niceness=niceness,
            # Each part holds the folder's lock: a second run waits for the last of them.
            keep_open=(self._folder.lock,),
        )
        child = Child(command, self._reporter.warn)
        self._children[name] = child
        task = asyncio.create_task(child.run())
        task.add_done_callback(self._note_end)
        self._child_tasks.append(task)

    def _part_environment(self, name: str) -> dict[str, str]:
        kept = {
            variable: value
            for variable, value in self._environment.items()
            # Parts get their secrets by their tables, each only what it needs.
            if not variable.startswith(ENVIRONMENT_PREFIX)
            # Users and certificates are for a NATS of the user's.
            and not (self._options.nats_url is None and variable.startswith("FOREBAY_NATS_"))
        }
        options, folder = self._options, self._folder
        tables = folder.receiver_tables if name == "receiver" else folder.processor_tables
        return {
            "FOREBAY_RECEIVER_DRAIN_SECONDS": "0",  # no load balancer has to notice first
            # Whoever runs this wrote the manifests: what they name beside us may be reached.
            "FOREBAY_PROCESSOR_ALLOWED_NETWORKS": OWN_NETWORKS,
            "FOREBAY_PROCESSOR_OWN_NATS": "true",
            "FOREBAY_PROCESSOR_PYTHON_MODULES": "*",
            "FOREBAY_PROCESSOR_PYTHON_PATH": str(Path.cwd()),
            "FOREBAY_PROCESSOR_PYTHON_RELOAD": "true",
            **kept,
            "FOREBAY_NATS_URL": self._nats_url,
            "FOREBAY_TABLE_DIR": str(tables),
            "FOREBAY_SHARDS": SHARD,
            "FOREBAY_LOG_LEVEL": options.log_level,
            "FOREBAY_LOG_FORMAT": "json",
            "FOREBAY_RECEIVER_HOST": options.host,
            "FOREBAY_RECEIVER_PORT": str(options.port),
            "FOREBAY_RECEIVER_ADMIN_HOST": ADMIN_HOST,
            "FOREBAY_RECEIVER_ADMIN_PORT": str(options.admin_port),
            "FOREBAY_PROCESSOR_ADMIN_HOST": ADMIN_HOST,
            "FOREBAY_PROCESSOR_ADMIN_PORT": str(options.processor_admin_port),
            "PYTHONSAFEPATH": "1",
            "PYTHONUNBUFFERED": "1",
        }

    async def _all_ready(self) -> bool:
        answers = await asyncio.gather(
            get(self._options.receiver_admin, "/readyz"),
            get(self._options.processor_admin, "/readyz"),
        )
        return all(answer is not None and answer[0] == HTTPStatus.OK for answer in answers)

    async def _until(self, condition: Callable[[], Coroutine[None, None, bool]], what: str) -> None:
        warn_at = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            if time.monotonic() > warn_at:
                warn_at += 4 * PATIENCE_SECONDS
                self._reporter.warn(f"still waiting for {what}: see {self._folder.logs}")
            await asyncio.sleep(STARTING_POLL_SECONDS)

    # --- while it runs ---------------------------------------------------------------------------

    async def _show(self, metrics: MetricsReader, tail: LogTail) -> None:
        seconds = self._reporter.counts_seconds

        async def show() -> None:
            rows, states = await asyncio.gather(
                metrics.read(), read_destinations(self._options.processor_admin)
            )
            self._reporter.counts(rows, states, tail.read(LATEST_READ))

        if seconds is not None:
            await periodically(show, seconds, at_once=True)

    async def _care_for_logs(self) -> None:
        await periodically(
            lambda: asyncio.to_thread(self._folder.put_full_logs_aside), LOG_CARE_SECONDS
        )

    async def _watch(self) -> None:
        await periodically(self._follow_manifests, WATCH_SECONDS)

    def _follow_manifests(self) -> None:
        if not self._manifests.has_changed():
            return
        try:
            tables = self._manifests.load()
            self._write(tables)
        except (ConfigurationError, OSError) as error:
            self._reporter.warn(f"{error}\nthe manifests of before stay in force")
        else:
            facts = self._facts(tables)
            self._record(facts)
            self._reporter.changed(facts)

    def _write(self, tables: CompiledTables) -> None:
        self._manifests.write(
            tables,
            receiver=self._folder.receiver_tables,
            processor=self._folder.processor_tables,
        )

    def _record(self, facts: Facts) -> None:
        RunRecord.of(facts, self._started).write(self._folder.root)

    def _facts(self, tables: CompiledTables) -> Facts:
        options, manifests = self._options, tables.manifests
        return Facts(
            version=__version__,
            seconds=time.monotonic() - self._begun,
            samples=tuple(
                sample(
                    endpoint,
                    manifests.secrets,
                    options.receiver.url,
                    # The same mark at another time would be a variant of an item that is known.
                    mark=secrets.token_hex(4),
                    time=int(time.time()),
                )
                for endpoint in manifests.endpoints
            ),
            receiver_admin=options.receiver_admin.url,
            processor_admin=options.processor_admin.url,
            nats=_without_credentials(self._nats_url),
            embedded=options.nats_url is None,
            data_dir=self._folder.root,
            logs={name: self._folder.log(name) for name in self._children},
            pids={
                "run": os.getpid(),
                **{name: child.pid for name, child in self._children.items() if child.pid},
            },
        )

    # --- the end ---------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside the rest until the end; if it fails, the run ends."""
        _ = self._own(work)

    def _own(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_end)
        self._tasks.append(task)
        return task

    def _note_end(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)
            _ = self._over.exception()  # whoever waits still gets it; at the end nobody does

    def request_stop(self) -> None:
        """Stop in order at the first call (or signal); at the second, without waiting for parts."""
        if not self._over.done():
            self._reporter.close()
            self._reporter.info("stopping: what is in flight is finished first")
            self._over.set_result(None)
            return
        for name in ("receiver", "processor"):
            if name in self._children:
                self._children[name].kill()

    async def _stop(self) -> None:
        self._reporter.close()
        await end_tasks(self._tasks)
        RunRecord.remove(self._folder.root)
        for name in ("receiver", "processor", "nats"):
            if name in self._children:
                await self._children[name].stop(STOP_SECONDS)
        await asyncio.gather(*self._child_tasks, return_exceptions=True)
        if self._options.nats_url is None:
            self._reporter.info(f"stopped; what is stored waits in {self._folder.store}")
        else:
            self._reporter.info("stopped")


def _without_credentials(urls: str) -> str:
    """Return NATS' URL or URLs as they may be shown."""
    return ",".join(_bare(url.strip()) for url in urls.split(","))


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
