"""What a handler in Python needs: the event that it gets, and two ways to say no.

    from forebay.handler import Event, Reject, Retry

    async def handle(event: Event) -> None:
        if event.kind != "messages":
            return
        try:
            await answer(event.typed())
        except TooManyRequests as error:
            raise Retry("the shop is busy", after=error.seconds) from error

A handler is named in a manifest, `python: {handler: "acme.bot:handle"}`. An event is delivered when
it returns. Any other exception is a failed attempt, and the event comes again; docs/python.md says
more. Nothing of a processor is imported by importing this.
"""

from forebay.core.events import Event, read_event

__all__ = ["Event", "Reject", "Retry", "RetryLater", "read_event"]


class RetryLater(Exception):  # noqa: N818  # what is to be done, in a handler's words
    """The event cannot be handled now: it comes again."""

    def __init__(self, reason: str = "", *, after: float = 0.0) -> None:
        """Say when to come again.

        Args:
            reason: For people, who see it in `forebay events show`; nothing private.
            after: Seconds, an hour at most; 0 for the destination's own pauses.
        """
        super().__init__(reason)
        self.reason = reason
        self.after = after


Retry = RetryLater
"""What handlers raise: `raise Retry(after=5)`. The class has the longer name, since `Retry` in the
tables is how a destination tries again."""


class Reject(Exception):  # noqa: N818
    """The event will never be handled: it becomes a dead letter at once."""

    def __init__(self, reason: str = "") -> None:
        """Say why, for people, who see it in `forebay events show`; nothing private."""
        super().__init__(reason)
        self.reason = reason
