"""Who may ask, and how much at one time."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from forebay.core.api_tokens import ApiScope, ApiToken, holder_of
from forebay.views.filters import endpoint_name
from forebay_api.errors import NotAllowed, NoToken, ServerBusy, TooManyRequests

__all__ = ["Access", "check_endpoint", "check_scope"]


class Access:
    """Decides on requests before anything is read for them."""

    def __init__(
        self,
        tokens: Callable[[], Sequence[ApiToken]],
        now: Callable[[], datetime],
        *,
        each: int,
        every: int,
    ) -> None:
        """Prepare.

        Args:
            tokens: Returns those that are kept.
            now: The time, in UTC.
            each: Requests of one token at one time.
            every: Requests of all tokens at one time.
        """
        self._tokens = tokens
        self._now = now
        self._each = each
        self._every = every
        self._served = Counter[str]()

    def holder(self, given: str | None) -> ApiToken:
        """Return the token that a request has; raises NoToken."""
        found = None if given is None else holder_of(given, self._tokens(), self._now())
        if found is None:
            message = (
                "no token that is in force came with the request: send one as "
                "`Authorization: Bearer fby_...` (`forebay api token` makes one)"
            )
            raise NoToken(message)
        return found

    @contextlib.contextmanager
    def place(self, token: ApiToken) -> Iterator[None]:
        """Take one of the token's places for the block.

        Raises:
            TooManyRequests: where the token has none left.
            ServerBusy: where nobody has.
        """
        # By its hash: two entries of one name are two tokens.
        if self._served[token.sha256] >= self._each:
            message = f"{self._each} requests of this token are being served: wait for one"
            raise TooManyRequests(message)
        if self._served.total() >= self._every:
            message = "as many requests are being served as may be: ask again in a second"
            raise ServerBusy(message)
        self._served[token.sha256] += 1
        try:
            yield
        finally:
            self._served[token.sha256] -= 1
            if not self._served[token.sha256]:
                del self._served[token.sha256]


def check_scope(token: ApiToken, scope: ApiScope) -> None:
    """Raise NotAllowed where a token has not this scope."""
    if scope not in token.scopes:
        message = f"the token has not the scope {scope}: it has {', '.join(token.scopes)}"
        raise NotAllowed(message)


def check_endpoint(token: ApiToken, endpoint: str | None) -> None:
    """Make sure that a token is for the endpoint that a request names, if it names one.

    Raises:
        NotAllowed: where it is not, whether there is such an endpoint or not.
        ConfigurationError: where it is no endpoint's name.
    """
    if endpoint is None:
        return
    namespace = endpoint_name(endpoint, "").namespace
    if not token.is_for(namespace):
        message = f"the token is not for the namespace {namespace}"
        raise NotAllowed(message)
