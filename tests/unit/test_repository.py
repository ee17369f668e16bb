"""What has to hold for the repository as a whole: names, copies, and nothing of one machine."""

import functools
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import forebay
from support.inputs.corpus import PAYLOADS, VECTORS

ROOT = Path(__file__).parents[2]
SHARED_PAYLOADS = ROOT.parent / "shared" / "payloads"


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Return the files that git tracks or would add: not what a tool or a run left behind."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],  # git is where the PATH says
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    paths = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(path for path in paths if path.is_file())


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """Return where a pattern stands in tracked files, as `path:line`."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {found.group()}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if (found := pattern.search(line))
    ]


def test_operator_folder_never_hides_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_every_import_root_says_that_it_is_typed() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [name for name in packages if not (ROOT / name / "py.typed").is_file()] == []


def test_payloads_are_the_shared_ones_byte_for_byte() -> None:
    if not SHARED_PAYLOADS.is_dir():
        pytest.skip("the shared folder is not beside this checkout")
    shared = {path.stem: path.read_bytes() for path in SHARED_PAYLOADS.glob("*.json")}
    assert {name: each.body for name, each in PAYLOADS.items()} == shared


def test_the_corpus_is_whole() -> None:
    assert len(PAYLOADS) == 53
    assert all(each.key_patterns for each in PAYLOADS.values())
    assert {vector.payload for vector in VECTORS} <= PAYLOADS.keys()


def test_version_stands_in_one_place() -> None:
    assert version("forebay") == forebay.__version__
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert "version" not in project
    assert "version" in project["dynamic"]


def test_no_file_names_a_path_of_one_machine() -> None:
    """Homes, and the folder in which this checkout happens to be."""
    here = [str(place) for place in (Path.home(), ROOT.parent) if len(place.parts) > 1]
    # Put together here, so that this file does not find itself.
    places = [*(re.escape(f"{place}/") for place in here), "/" + "home/[a-z]", "/" + "Users/"]
    pattern = re.compile("|".join(rf"(?<![\w.]){place}" for place in places))
    assert lines_with(pattern) == []


def test_no_file_names_a_package_registry() -> None:
    """Neither the public hosts nor a mirror: whoever installs has a registry of their own."""
    # Put together here, so that this file does not find itself.
    hosts = [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("proxy", "golang", "org"),
        ("static", "crates", "io"),
        ("repo", "maven", "apache", "org"),
        ("deb", "debian", "org"),
    ]
    settings = ("index-url", "find-links", "trusted-host")
    patterns = [re.escape(".".join(host)) for host in hosts]
    patterns += [rf"--(?:extra-)?{setting}\b" for setting in settings]
    assert lines_with(re.compile("|".join(patterns))) == []


def test_no_lock_file_is_tracked() -> None:
    """A lock file holds the addresses of the registry that it was made with."""
    locks = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml"}
    assert [path.name for path in tracked_files() if path.name in locks] == []


def test_licence_is_whole() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
