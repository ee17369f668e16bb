"""The root of every error that Forebay raises on purpose.

    ForebayError
    ├── ConfigurationError          a setting, manifest or table that cannot be used
    ├── UnreadableBody              a webhook body that no parser takes: goes to the `invalid` lane
    │   └── ExpandsTooFar           one that holds more, once it is decoded, than it may
    └── runtime.jetstream.errors    what NATS answered, or did not answer: see there

Each part may add its own below one of these; the message is one sentence for a person.
"""

__all__ = ["ConfigurationError", "ExpandsTooFar", "ForebayError", "UnreadableBody"]


class ForebayError(Exception):
    """Something that Forebay expected could happen, described in one sentence."""


class ConfigurationError(ForebayError):
    """A setting, a manifest or a table that cannot be used; the message says what to do."""


class UnreadableBody(ForebayError):  # noqa: N818  # named for what it is about, like KeyError's kin
    """A body that is not JSON, or not of a shape that any parser knows."""


class ExpandsTooFar(UnreadableBody):
    """A body that holds more than its limit, once its content encoding is taken off."""
