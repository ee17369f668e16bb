"""The catalogue of mutations: one file an area, each entry a fault that a user would meet.

An entry names its place by an anchor: text that stands exactly once in its file. So it survives
that lines move, and fails at once when the code that it is about is not there any more
(tests/unit/test_mutants.py looks at all of them).
"""

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["CATALOGUE", "ROOT", "Mutation", "Selection", "load", "mutated"]

ROOT: Final = Path(__file__).parents[2]
CATALOGUE: Final = Path(__file__).parent / "catalogue"

_UNIT: Final = "tests/unit/"
_FAST: Final = (_UNIT, "tests/component/")
_SLOW: Final = "tests/component/slow/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Tests that cover a mutation: arguments of pytest, as `tests/unit/test_rates.py -k wait`."""

    text: str

    @property
    def arguments(self) -> list[str]:
        """What pytest is given."""
        return shlex.split(self.text)

    @property
    def files(self) -> list[str]:
        """The files and folders of tests that are named."""
        return [each.split("::")[0] for each in self.arguments if each.startswith("tests/")]

    @property
    def is_there(self) -> bool:
        """Whether all files that are named are there."""
        return all((ROOT / each).exists() for each in self.files)

    @property
    def is_unit(self) -> bool:
        """Whether unit tests alone are meant."""
        return all(each.startswith(_UNIT) for each in self.files)

    @property
    def is_fast(self) -> bool:
        """Whether tests of the fast levels alone are meant."""
        return all(each.startswith(_FAST) and not each.startswith(_SLOW) for each in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One fault: where it is, what a user suffers by it, and which tests are to notice."""

    area: str
    id: str
    """Short and lasting: what is broken, with dashes."""

    file: str
    """The file that is changed, from the root of the repository."""

    anchor: str
    """Text that stands exactly once in the file."""

    becomes: str
    """What stands there instead."""

    suffers: str
    """What a user would see."""

    fast: Selection | None = None
    """Unit and component tests that cover it."""

    slow: Selection | None = None
    """Tests of other levels that cover it; they are asked where the fast ones did not notice."""

    no_effect: str | None = None
    """Why nobody can see it. Such an entry has no tests and is not run: it is kept so that it is
    not tried again."""

    @property
    def level(self) -> str:
        """The quickest level that is to catch it."""
        if self.no_effect is not None:
            return "none"
        if self.fast is None:
            return "slow"
        return "unit" if self.fast.is_unit else "component"


def load(folder: Path = CATALOGUE) -> list[Mutation]:
    """Read all files of the catalogue; the name of a file is the area of its entries.

    Raises:
        ValueError: where an entry has a property that is unknown or lacks one.
    """
    found: list[Mutation] = []
    for path in sorted(folder.glob("*.toml")):
        with path.open("rb") as file:
            entries = tomllib.load(file)["mutation"]
        found += [_read(path.stem, each) for each in entries]
    return found


def _read(area: str, entry: dict[str, Any]) -> Mutation:
    properties = dict(entry)
    for level in ("fast", "slow"):
        if level in properties:
            properties[level] = Selection(text=properties[level])
    try:
        return Mutation(area=area, **properties)
    except TypeError as error:
        message = f"{area}: {entry.get('id', 'an entry without id')}: {error}"
        raise ValueError(message) from error


def mutated(mutation: Mutation, source: str) -> str:
    """Return the source with the mutation in it.

    Raises:
        ValueError: where the anchor does not stand there exactly once.
    """
    count = source.count(mutation.anchor)
    if count != 1:
        message = (
            f"{mutation.id}: the anchor stands {count} times in {mutation.file}; "
            "make it say the place again, or remove the entry with the code"
        )
        raise ValueError(message)
    return source.replace(mutation.anchor, mutation.becomes)
