"""What can be no filter is refused by each list in the same words, before NATS is asked."""

import pytest
from typer.testing import CliRunner

from forebay.cli.main import app
from forebay.core.errors import ConfigurationError

LISTS = ("dead", "events", "waiting")


def refusal(command: str, *options: str) -> str:
    """Return the sentence with which `ls` of a command refuses its options."""
    ended = CliRunner().invoke(app, [command, "ls", *options])
    assert isinstance(ended.exception, ConfigurationError), ended
    return str(ended.exception)


@pytest.mark.parametrize("name", LISTS)
def test_an_id_that_can_be_none_is_shown_by_the_list_that_was_asked(name: str) -> None:
    assert refusal(name, "--id", "wamid.x") == (
        f"'wamid.x' is no id: it is of hex digits, as `forebay {name} ls` shows it"
    )
    assert "is no id" in refusal(name, "--id", "")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("--endpoint", "shop", "--endpoint 'shop' is"),
        ("--destination", "My CRM", "--destination 'My CRM' is no name of a destination"),
        ("--kind", "message", "--kind 'message' is none: there are messages, "),
    ],
)
def test_each_list_refuses_what_can_be_no_filter(
    name: str, option: str, given: str, said: str
) -> None:
    assert said in refusal(name, option, given)


@pytest.mark.parametrize("name", ["events", "waiting"])
def test_a_conversation_is_named_by_its_token(name: str) -> None:
    assert refusal(name, "--conversation", "Jo") == (
        "--conversation 'Jo' is no token: it is of hex digits"
    )
