"""What Forebay installs is under licences that are allowed, and docs/licences.md lists it."""

import pytest

from support.docs.licences_page import (
    ALLOWED,
    ALLOWED_TO_DEVELOP,
    PAGE,
    developing_only,
    is_allowed,
    licence_of,
    page,
    shipped,
)


def test_what_images_hold_is_under_an_allowed_licence() -> None:
    licences = {name: licence_of(name) for name in shipped()}
    assert {name: each for name, each in licences.items() if not is_allowed(each, ALLOWED)} == {}


def test_what_developing_needs_is_under_an_allowed_licence() -> None:
    licences = {name: licence_of(name) for name in developing_only()}
    refused = {
        name: each for name, each in licences.items() if not is_allowed(each, ALLOWED_TO_DEVELOP)
    }
    assert refused == {}


def test_the_page_lists_them(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run `make generate`"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("(MIT OR GPL-3.0-only) AND GPL-3.0-only", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_a_licence_has_to_be_on_the_list(expression: str, *, allowed: bool) -> None:
    assert is_allowed(expression, ALLOWED) is allowed
