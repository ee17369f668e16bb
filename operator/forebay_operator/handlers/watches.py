"""kopf watches and calls: each handler hands one event over to our own loop, and that is all.

Handlers that kopf retries would write a large annotation on every object, so there are none: only
`on.event`, which writes nothing. kopf ends all tasks of a loop when it stops, so each watch has a
thread and a loop of its own: one for what is in all namespaces (endpoints and Secrets), one for
Forebay's namespace alone, so that the operator needs no rights on other namespaces' pods.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

import kopf
import structlog
from lightkube.core.resource import NamespacedResourceG, api_info

from forebay_operator.adapters.cluster import kind_of
from forebay_operator.models.names import GROUP, LABEL_OWNER
from forebay_operator.services.watch_events import WatchEventHandler

__all__ = ["Watches", "hand_over", "until_stopped"]

_log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 10.0

SERVER_SECONDS: Final = 300
"""Length of one streaming request: an API server of several replicas spreads its watches only when
they end, and a load balancer between may cut a longer one without a word."""

_SECRETS: Final = ("", "v1", "secrets")

Document = Mapping[str, Any]
Listener = Callable[[str | None, Document], None]


class Watches:
    """All watches of the operator."""

    def __init__(
        self,
        handler: WatchEventHandler,
        namespace: str,
        name: str,
        kinds: tuple[type[NamespacedResourceG], ...],
        on_end: Callable[[], None],
    ) -> None:
        """Prepare; call from the operator's loop.

        Args:
            handler: Who gets the events.
            namespace: Forebay's own.
            name: The installation's.
            kinds: What the operator makes on this cluster.
            on_end: Called on the operator's loop when a watch ended though nobody stopped it.
        """
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._on_end = on_end
        self._threads: list[threading.Thread] = []
        # The warning that signals are not handled in a thread, where we do not want them to be.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        everywhere = _settings()
        # Helm keeps each release in a Secret of up to 1 MiB: nothing in them is for us.
        everywhere.watching.field_selectors[_SECRETS] = "type!=helm.sh/release.v1"
        self._handler, self._namespace, self._name = handler, namespace, name
        self._watched = set(kinds)
        self._plan("watch-all", self._all_namespaces(handler), everywhere, None)
        own = self._own_namespace(kinds)
        self._on_event(own, ("", "v1", "pods"), handler.pod)
        self._plan("watch-own", own, self._of_ours(kinds), namespace)

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def add(self, kind: type[NamespacedResourceG]) -> None:
        """Watch one more kind of ours from now on; one that is watched already is fine."""
        if kind in self._watched:
            return
        self._watched.add(kind)
        registry, settings = self._own_namespace((kind,)), self._of_ours((kind,))
        self._plan(f"watch-{kind_of(kind)}", registry, settings, self._namespace)
        self._threads[-1].start()

    async def stop(self) -> None:
        """End all watches and wait for their threads."""
        self._stop.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, STOP_SECONDS)
            if thread.is_alive():
                _log.warning("watch_stop_timed_out", watch=thread.name)

    # --- who is told of what

    def _all_namespaces(self, handler: WatchEventHandler) -> kopf.OperatorRegistry:
        registry = _registry()
        self._on_event(registry, (GROUP, "v1alpha1", "webhookendpoints"), handler.endpoint)
        self._on_event(registry, _SECRETS, lambda _, body: handler.secret(body))
        return registry

    def _of_ours(self, kinds: tuple[type[NamespacedResourceG], ...]) -> kopf.OperatorSettings:
        settings = _settings()
        for kind in kinds:
            settings.watching.label_selectors[_where(kind)] = f"{LABEL_OWNER}={self._name}"
        return settings

    def _own_namespace(self, kinds: tuple[type[NamespacedResourceG], ...]) -> kopf.OperatorRegistry:
        registry = _registry()
        for kind in kinds:
            name = kind_of(kind)

            def managed(change: str | None, body: Document, name: str = name) -> None:
                self._handler.managed(change, {**body, "kind": name})

            self._on_event(registry, _where(kind), managed)
        return registry

    def _on_event(
        self, registry: kopf.OperatorRegistry, where: tuple[str, str, str], tell: Listener
    ) -> None:
        async def handler(event: kopf.RawEvent, **_: object) -> None:
            self._loop.call_soon_threadsafe(hand_over, tell, event["type"], dict(event["object"]))

        group, version, plural = where
        kopf.on.event(
            group=group, version=version, plural=plural, registry=registry, id=f"hear-{plural}"
        )(handler)

    # --- threads

    def _plan(
        self,
        name: str,
        registry: kopf.OperatorRegistry,
        settings: kopf.OperatorSettings,
        namespace: str | None,
    ) -> None:
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
                            stop_flag=self._stop,
                        )
                    )
                )
            except Exception:  # noqa: BLE001  # whatever it was: told, and the process ends
                _log.exception("watch_crashed", watch=name)
            if not self._stop.is_set():
                self._loop.call_soon_threadsafe(self._on_end)

        self._threads.append(threading.Thread(target=run, name=name, daemon=True))


def hand_over(tell: Listener, change: str | None, document: Document) -> None:
    """Tell of an event; one that cannot be taken costs itself alone.

    The loop's own words on it would quote the document, which may be a Secret.
    """
    try:
        tell(change, document)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others are told
        metadata = document.get("metadata") or {}
        name = f"{metadata.get('namespace')}/{metadata.get('name')}"
        _log.error(  # a traceback's last line may quote it, too
            "event_not_taken", kind=document.get("kind"), name=name, reason=type(error).__name__
        )


async def until_stopped(watching: Awaitable[None]) -> None:
    """Watch until the end, and leave the loop to be closed without a traceback.

    A watch that is stopped while it hands an event on leaves its generators, one in the other, to
    the loop, which closes all of them at the same time: the outer one finds the inner one closed,
    and the loop tells that as an error. Nothing is watched any more then.
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
    hour must not make the operator restart again and again.
    """

    def __iter__(self) -> Iterator[float]:
        """Begin anew for each request."""
        yield from (0.2, 0.5, 1, 2)
        while True:
            yield 5


def _where(kind: type[NamespacedResourceG]) -> tuple[str, str, str]:
    info = api_info(kind)
    return info.resource.group, info.resource.version, info.plural


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
    settings.networking.error_backoffs = _Backoffs()
    return settings
