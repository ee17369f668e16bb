"""The API as an application: each request is let in, read for, and answered in one place.

Every path reads. An error is a sentence in `error`, with the status that `forebay_api.errors` says.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from forebay.core.api_tokens import ApiScope, ApiToken
from forebay.core.errors import ConfigurationError, ForebayError
from forebay.runtime.fault_place import place_of
from forebay_api.errors import ApiRefusal, RequestFailed, TookTooLong
from forebay_api.handlers.models import (
    DeadList,
    DestinationList,
    EventList,
    Message,
    RefusalAnswer,
    WaitingList,
    WebhookList,
    WebhookShown,
)
from forebay_api.metrics import ApiMetrics
from forebay_api.services.access import Access, check_scope
from forebay_api.services.queries import (
    DeadQuery,
    DestinationsQuery,
    EventsQuery,
    MessageQuery,
    WaitingQuery,
    WebhookQuery,
    WebhooksQuery,
)
from forebay_api.services.tenant_reader import TenantReader

__all__ = ["API_VERSION", "api_application"]

_log = structlog.get_logger(__name__)

API_VERSION: Final = "1.0"
"""Of what is answered: fields are added within `/v1`, and none is taken away."""

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of each answer: no proxy keeps what a token may see."""

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": RefusalAnswer, "description": "A parameter can mean nothing."},
    401: {"model": RefusalAnswer, "description": "No token that is in force."},
    403: {"model": RefusalAnswer, "description": "The token is not for this scope or namespace."},
    429: {"model": RefusalAnswer, "description": "Too many requests of this token at one time."},
    503: {
        "model": RefusalAnswer,
        "description": "NATS, or no processor, answers; or too many requests.",
    },
    504: {"model": RefusalAnswer, "description": "It took too long: narrow it down."},
}

_NO_WEBHOOK: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": RefusalAnswer, "description": "There is none, as far as the token may know."}
}

_MASKED: Final = False
"""Of what has nothing to reveal."""

_BEARER: Final = HTTPBearer(auto_error=False, description="A token of `forebay api token`.")

Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]

_Read = Callable[[ApiToken], Awaitable[dict[str, Any]]]
_Answer = Callable[
    [HTTPAuthorizationCredentials | None, ApiScope, bool, _Read], Awaitable[Response]
]
"""Answers a request: who asks, which scope it wants, whether it reveals, and what reads for it."""


def api_application(
    access: Access, reading: TenantReader, request_seconds: float, metrics: ApiMetrics
) -> FastAPI:
    """Return the application.

    Args:
        access: Who may ask.
        reading: Reads what is asked for.
        request_seconds: For a request.
        metrics: Count what comes of requests.
    """
    app = FastAPI(
        title="Forebay",
        version=API_VERSION,
        description="What happened to messages, what waits, what is dead: for reading only.",
        openapi_url="/v1/openapi.json",
        # Their scripts would come from somebody else's server.
        docs_url=None,
        redoc_url=None,
    )
    _say_refusals(app, metrics)

    async def answer(
        bearer: HTTPAuthorizationCredentials | None,
        scope: ApiScope,
        reveal: bool,  # noqa: FBT001  # as `_Answer` says
        read: _Read,
    ) -> Response:
        token = access.holder(None if bearer is None else bearer.credentials)
        check_scope(token, scope)
        if reveal:
            check_scope(token, ApiScope.REVEAL)
        with access.place(token):
            try:
                async with asyncio.timeout(request_seconds):
                    facts = await read(token)
            except TimeoutError as error:
                message = f"it took longer than {request_seconds:g} s: narrow it down"
                raise TookTooLong(message) from error
            except ForebayError:
                raise
            except Exception as error:  # noqa: BLE001  # whoever asked has to hear of it
                # Without its text, which can hold a piece of what is stored.
                _log.error("api_request_failed", scope=scope.value, error=place_of(error))
                message = "a fault of Forebay's kept this from being answered: its log says where"
                raise RequestFailed(message) from None
        metrics.answered("answered")
        # By msgspec: a number that nobody can hold is in a body as it came.
        body = msgspec.json.encode(facts)
        _log.info("api_answered", token=token.name, scope=scope.value, reveal=reveal)
        return Response(body, media_type="application/json", headers=_NO_STORE)

    _of_messages(app, answer, reading)
    _of_webhooks(app, answer, reading)
    _of_what_is_left(app, answer, reading)
    return app


def _of_messages(app: FastAPI, answer: _Answer, reading: TenantReader) -> None:
    @app.get("/v1/messages", response_model=Message, responses=_REFUSALS)
    async def messages(bearer: Bearer, query: Annotated[MessageQuery, Query()]) -> Response:
        """Tell all that is known of one message: itself, its statuses, its repeats."""
        return await answer(
            bearer, ApiScope.EVENTS, query.reveal, lambda token: reading.message(token, query)
        )

    @app.get("/v1/events", response_model=EventList, responses=_REFUSALS)
    async def events(bearer: Bearer, query: Annotated[EventsQuery, Query()]) -> Response:
        """List items to which something happened: in the last hour, unless `since` says when."""
        return await answer(
            bearer, ApiScope.EVENTS, query.reveal, lambda token: reading.events(token, query)
        )


def _of_webhooks(app: FastAPI, answer: _Answer, reading: TenantReader) -> None:
    @app.get("/v1/webhooks", response_model=WebhookList, responses=_REFUSALS)
    async def webhooks(bearer: Bearer, query: Annotated[WebhooksQuery, Query()]) -> Response:
        """Show the webhooks in which an item first came."""
        return await answer(
            bearer, ApiScope.WEBHOOKS, query.reveal, lambda token: reading.webhooks(token, query)
        )

    @app.get(
        "/v1/webhooks/{shard}/{sequence}",
        response_model=WebhookShown,
        responses={**_REFUSALS, **_NO_WEBHOOK},
    )
    async def webhook(
        bearer: Bearer,
        shard: Annotated[str, Path(max_length=63)],
        sequence: Annotated[int, Path(ge=1, lt=2**63, description="In RAW.")],
        query: Annotated[WebhookQuery, Query()],
    ) -> Response:
        """Show the webhook with a sequence of RAW."""
        return await answer(
            bearer,
            ApiScope.WEBHOOKS,
            query.reveal,
            lambda token: reading.webhook(token, shard, sequence, reveal=query.reveal),
        )


def _of_what_is_left(app: FastAPI, answer: _Answer, reading: TenantReader) -> None:
    @app.get("/v1/waiting", response_model=WaitingList, responses=_REFUSALS)
    async def waiting(bearer: Bearer, query: Annotated[WaitingQuery, Query()]) -> Response:
        """List what waits to be delivered: why, since when, next attempt, until when."""
        return await answer(
            bearer, ApiScope.WAITING, query.reveal, lambda token: reading.waiting(token, query)
        )

    @app.get("/v1/dead", response_model=DeadList, responses=_REFUSALS)
    async def dead(bearer: Bearer, query: Annotated[DeadQuery, Query()]) -> Response:
        """List dead letters, oldest first."""
        return await answer(
            bearer, ApiScope.DEAD, query.reveal, lambda token: reading.dead(token, query)
        )

    @app.get("/v1/destinations", response_model=DestinationList, responses=_REFUSALS)
    async def destinations(
        bearer: Bearer, query: Annotated[DestinationsQuery, Query()]
    ) -> Response:
        """Say how destinations are: their state, why, what waits, and the next attempt."""
        return await answer(
            bearer, ApiScope.DESTINATIONS, _MASKED, lambda token: reading.destinations(token, query)
        )


def _say_refusals(app: FastAPI, metrics: ApiMetrics) -> None:
    """Have every error counted, and answered as `RefusalAnswer` has it."""

    def refusal(status: HTTPStatus, text: str) -> Response:
        metrics.answered(status.name.lower())
        return _refusal(status, text)

    @app.exception_handler(ForebayError)
    async def refused(_: Request, error: ForebayError) -> Response:
        match error:
            case ApiRefusal():
                return refusal(error.status, str(error))
            case ConfigurationError():
                return refusal(HTTPStatus.BAD_REQUEST, str(error))
            case _:
                return refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    @app.exception_handler(RequestValidationError)
    async def unusable(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(str(each) for each in first["loc"][1:])
        return refusal(HTTPStatus.BAD_REQUEST, f"{name} cannot be used: {first['msg']}")

    @app.exception_handler(HTTPStatus.NOT_FOUND)
    async def no_such_path(_: Request, __: Exception) -> Response:
        return refusal(HTTPStatus.NOT_FOUND, "there is no such path: see /v1/openapi.json")

    @app.exception_handler(HTTPStatus.METHOD_NOT_ALLOWED)
    async def no_such_method(_: Request, __: Exception) -> Response:
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "every path is read by GET, and only so")


def _refusal(status: HTTPStatus, text: str) -> Response:
    own = dict(_NO_STORE)
    match status:
        case HTTPStatus.UNAUTHORIZED:
            own["WWW-Authenticate"] = "Bearer"
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            own["Retry-After"] = "1"
        case _:
            pass
    body = msgspec.json.encode({"error": text})
    return Response(body, status, headers=own, media_type="application/json")
