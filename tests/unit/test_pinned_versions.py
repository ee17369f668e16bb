"""requirements/ fits pyproject.toml, and pins all that images and CI install; `make lock`."""

import re
import tomllib
from importlib.metadata import distribution
from typing import Final

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.docs.pinned import PINNED, ROOT, asked_for, pins

FILES: Final = (*PINNED, "build", "tools")


def of_file(file: str) -> list[Requirement]:
    """Return what a file has to fit."""
    with (ROOT / "pyproject.toml").open("rb") as opened:
        declared = tomllib.load(opened)
    if file == "tools":
        return [Requirement(line) for line in declared["dependency-groups"]["tools"]]
    if file == "build":
        # setuptools builds nkeys, the only library without a wheel.
        return [Requirement(line) for line in ("setuptools", *declared["build-system"]["requires"])]
    return asked_for(*PINNED[file])


@pytest.mark.parametrize("file", FILES)
def test_pins_are_of_what_pyproject_asks_for_and_of_nothing_else(file: str) -> None:
    pinned = pins(file)
    wanted = of_file(file)
    direct = {name for name, pin in pinned.items() if pin.direct}
    assert direct == {canonicalize_name(each.name) for each in wanted}, "run `make lock`"
    for each in wanted:
        version = pinned[canonicalize_name(each.name)].version
        assert each.specifier.contains(version), f"{each}, pinned at {version}: run `make lock`"


@pytest.mark.parametrize("file", FILES)
def test_every_pin_is_of_one_version_and_of_known_bytes(file: str) -> None:
    for pin in pins(file).values():
        assert re.fullmatch(r"==[^=*,]+", str(pin.requirement.specifier)), str(pin.requirement)
        assert pin.hashes, f"{pin.name} has no hash"


@pytest.mark.parametrize("file", [file for file in FILES if file not in {"dev", "tools"}])
def test_tests_run_with_what_images_hold(file: str) -> None:
    tested = pins("dev")
    other = {
        name: pin.version
        for name, pin in pins(file).items()
        if name in tested and tested[name].version != pin.version
    }
    assert other == {}, "run `make lock`"
    if file != "build":
        assert pins(file).keys() <= tested.keys()


@pytest.mark.parametrize("file", PINNED)
def test_what_pinned_libraries_need_is_pinned(file: str) -> None:
    """By the metadata of what is installed here: pip would refuse an incomplete file."""
    pinned = pins(file)
    here = {**{key: str(value) for key, value in default_environment().items()}, "extra": ""}
    for pin in pinned.values():
        if pin.requirement.marker is not None and not pin.requirement.marker.evaluate():
            continue
        for line in distribution(pin.name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate(here):
                name = canonicalize_name(needed.name)
                assert name in pinned, f"{pin.name} needs {name}: run `make lock`"


@pytest.mark.parametrize("file", FILES)
def test_no_file_says_from_where_to_install(file: str) -> None:
    text = (ROOT / f"requirements/{file}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)
