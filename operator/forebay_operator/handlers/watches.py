"""kopf watches and calls: each handler hands one event over to our own loop, and that is all.

Handlers that kopf retries would write a large annotation on every object, so there are none: only
`on.event`, which writes nothing. kopf ends all tasks of a loop when it stops, so each watch has a
thread and a loop of its own: one for what is in all namespaces (endpoints and Secrets), one for
Forebay's namespace alone, so that the operator needs no rights on other namespaces' pods.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import kopf
import structlog

from forebay_operator.models.kinds import ManagedKind
from forebay_operator.models.names import GROUP, LABEL_OWNER
from forebay_operator.services.watch_events import WatchEventHandler

__all__ = ["Watches", "hand_over", "until_stopped"]

_log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 10.0

SERVER_SECONDS: Final = 300
"""Length of one streaming request: an API server of several replicas spreads its watches only when
they end, and a load balancer between may cut a longer one silently."""

OPTIONAL: Final = "watch-optional-"
"""What the threads of optional kinds are called, before the kind."""

_SECRETS: Final = ("", "v1", "secrets")

Document = Mapping[str, Any]
Listener = Callable[[str | None, Document], None]


@dataclass(frozen=True, slots=True)
class _Watch:
    thread: threading.Thread
    stop: threading.Event
    asked: "_Backoffs"


class Watches:
    """All watches of the operator.

    Kinds that every cluster has share a thread: where one of their watches ends, the operator does.
    An optional kind has its own, which ends when its API is removed, and costs nobody else.
    """

    def __init__(
        self,
        handler: WatchEventHandler,
        namespace: str,
        name: str,
        kinds: Collection[ManagedKind],
        on_end: Callable[[], None],
        recheck: asyncio.Event,
    ) -> None:
        """Prepare; call from the operator's loop.

        Args:
            handler: Who gets the events.
            namespace: Forebay's own.
            name: The installation's.
            kinds: What the operator makes on this cluster.
            on_end: Called on the operator's loop when a watch ended though nobody stopped it.
            recheck: Set where that was the watch of an optional kind: its API may be gone.
        """
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._recheck = recheck
        # The warning that signals are not handled in a thread, where we do not want them to be.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        for logger in ("kopf._core.reactor.running", "kopf._core.reactor.orchestration"):
            logging.getLogger(logger).addFilter(_is_not_of_an_optional_watch)
        everywhere = _settings()
        # Helm keeps each release in a Secret of up to 1 MiB: nothing in them is for us.
        everywhere.watching.field_selectors[_SECRETS] = "type!=helm.sh/release.v1"
        self._handler, self._namespace, self._name = handler, namespace, name
        always = [each for each in kinds if not each.is_optional]
        own = self._own_namespace(always)
        self._on_event(own, ("", "v1", "pods"), handler.pod)
        self._required = [
            self._plan("watch-all", self._all_namespaces(handler), everywhere, None),
            self._plan("watch-own", own, self._of_ours(always), namespace),
        ]
        self._optional = {each: self._plan_one(each) for each in kinds if each.is_optional}
        self._removed: list[_Watch] = []

    def start(self) -> None:
        """Begin to watch."""
        for watch in (*self._required, *self._optional.values()):
            watch.thread.start()

    def is_watching(self, kind: ManagedKind) -> bool:
        """Say whether an optional kind is watched; its watch may have ended by itself."""
        return kind in self._optional

    def add(self, kind: ManagedKind) -> None:
        """Watch one more optional kind from now on; one that is watched already is fine."""
        if kind not in self._optional:
            self._optional[kind] = self._plan_one(kind)
            self._optional[kind].thread.start()

    def remove(self, kind: ManagedKind) -> None:
        """Watch an optional kind no longer; one that is not watched is fine."""
        self._removed = [each for each in self._removed if each.thread.is_alive()]
        watch = self._optional.pop(kind, None)
        if watch is not None:
            watch.stop.set()
            self._removed.append(watch)

    @property
    def age(self) -> float:
        """Seconds since a request of a required watch was begun, of the one that is silent longest.

        The server ends each after `SERVER_SECONDS`, and the next one is begun: so this stays below
        some minutes, and rises while the server gives no answer.
        """
        now = time.monotonic()
        return max(now - watch.asked.begun_at for watch in self._required)

    @property
    def silence(self) -> float:
        """The same since an attempt: while the server is away there is one every few seconds."""
        now = time.monotonic()
        return max(now - watch.asked.tried_at for watch in self._required)

    async def stop(self) -> None:
        """End all watches and wait for their threads."""
        watches = [*self._required, *self._optional.values(), *self._removed]
        for watch in watches:
            watch.stop.set()
        for watch in watches:
            await asyncio.to_thread(watch.thread.join, STOP_SECONDS)
            if watch.thread.is_alive():
                _log.warning("watch_stop_timed_out", watch=watch.thread.name)

    # --- who is notified of what

    def _all_namespaces(self, handler: WatchEventHandler) -> kopf.OperatorRegistry:
        registry = _registry()
        self._on_event(registry, (GROUP, "v1alpha1", "webhookendpoints"), handler.endpoint)
        self._on_event(registry, _SECRETS, lambda _, body: handler.secret(body))
        return registry

    def _of_ours(self, kinds: Collection[ManagedKind]) -> kopf.OperatorSettings:
        settings = _settings()
        for kind in kinds:
            settings.watching.label_selectors[_where(kind)] = f"{LABEL_OWNER}={self._name}"
        return settings

    def _own_namespace(self, kinds: Collection[ManagedKind]) -> kopf.OperatorRegistry:
        registry = _registry()
        for kind in kinds:

            def managed(change: str | None, body: Document, name: str = kind.name) -> None:
                self._handler.managed(change, {**body, "kind": name})

            self._on_event(registry, _where(kind), managed)
        return registry

    def _on_event(
        self, registry: kopf.OperatorRegistry, where: tuple[str, str, str], notify: Listener
    ) -> None:
        async def handler(event: kopf.RawEvent, **_: object) -> None:
            self._loop.call_soon_threadsafe(hand_over, notify, event["type"], dict(event["object"]))

        group, version, plural = where
        kopf.on.event(
            group=group, version=version, plural=plural, registry=registry, id=f"hear-{plural}"
        )(handler)

    # --- threads

    def _plan_one(self, kind: ManagedKind) -> _Watch:
        """Prepare the watch of an optional kind."""
        return self._plan(
            f"{OPTIONAL}{kind.plural}",
            self._own_namespace((kind,)),
            self._of_ours((kind,)),
            self._namespace,
            kind,
        )

    def _plan(
        self,
        name: str,
        registry: kopf.OperatorRegistry,
        settings: kopf.OperatorSettings,
        namespace: str | None,
        kind: ManagedKind | None = None,
    ) -> _Watch:
        stop, asked = threading.Event(), _Backoffs()
        settings.networking.error_backoffs = asked

        def run() -> None:
            try:
                asyncio.run(
                    until_stopped(
                        kopf.operator(
                            registry=registry,
                            settings=settings,
                            standalone=True,
                            clusterwide=namespace is None,
                            namespaces=() if namespace is None else (namespace,),
                            stop_flag=stop,
                        )
                    )
                )
            except Exception as error:  # noqa: BLE001  # whatever it was: logged, and acted on
                if kind is None:
                    _log.exception("watch_crashed", watch=name)
                else:
                    _log.info("optional_watch_ended", watch=name, reason=type(error).__name__)
            if not stop.is_set():
                self._loop.call_soon_threadsafe(self._ended, kind)

        return _Watch(threading.Thread(target=run, name=name, daemon=True), stop, asked)

    def _ended(self, kind: ManagedKind | None) -> None:
        """A watch ended by itself."""
        if kind is None:
            self._on_end()
        elif self._optional.pop(kind, None) is not None:
            self._recheck.set()


def hand_over(notify: Listener, change: str | None, document: Document) -> None:
    """Hand over an event; one that cannot be taken harms no other.

    The loop's own words on it would quote the document, which may be a Secret.
    """
    try:
        notify(change, document)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others are handed over
        metadata = document.get("metadata") or {}
        name = f"{metadata.get('namespace')}/{metadata.get('name')}"
        _log.error(  # a traceback's last line may quote it, too
            "event_not_taken", kind=document.get("kind"), name=name, reason=type(error).__name__
        )


async def until_stopped(watching: Awaitable[None]) -> None:
    """Watch until the end, and leave the loop to be closed without a traceback.

    A watch that is stopped while it hands an event on leaves its generators, one in the other, to
    the loop, which closes all of them at the same time: the outer one finds the inner one closed,
    and the loop logs that as an error. Nothing is watched any more then.
    """
    await watching
    asyncio.get_running_loop().set_exception_handler(_closing)


def _closing(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if "asyncgen" in context:
        _log.debug("watch_generators_closed", reason=context["message"])
    else:
        loop.default_exception_handler(context)


class _Backoffs:
    """Pauses between attempts to reach the API server, without end.

    One that restarts is asked again soon, since live changes wait for it; one that is away for an
    hour must not make the operator restart again and again. kopf asks for the next pause before
    each attempt, which is how we know that a watch is alive.
    """

    def __init__(self) -> None:
        self.begun_at = self.tried_at = time.monotonic()
        """When a request was begun last, and when an attempt was made: read by other threads."""

    def __iter__(self) -> Iterator[float]:
        """Begin anew for each request."""
        self.begun_at = time.monotonic()
        for pause in itertools.chain((0.2, 0.5, 1.0, 2.0), itertools.repeat(5.0)):
            self.tried_at = time.monotonic()
            yield pause


def _is_not_of_an_optional_watch(record: logging.LogRecord) -> bool:
    """Keep kopf's errors of what can go on without: `optional_watch_ended` is said instead."""
    return not (record.threadName or "").startswith(OPTIONAL)


def _where(kind: ManagedKind) -> tuple[str, str, str]:
    return kind.group, kind.version, kind.plural


def _registry() -> kopf.OperatorRegistry:
    """Return an empty registry that signs in as lightkube does: as the pod's account, else by file.

    kopf's own would also try other libraries that happen to be installed.
    """
    registry = kopf.OperatorRegistry()

    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401  # kopf's own
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    kopf.on.login(registry=registry, id="login")(login)
    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False  # Events are ours
    settings.scanning.disabled = True  # no right to watch CRDs and namespaces is needed
    settings.watching.server_timeout = (
        SERVER_SECONDS  # a whole number, or the API server refuses it
    )
    return settings
