"""What requirements/ pins, and what pyproject.toml asks for."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["PARTS", "PINNED", "Pin", "asked_for", "pins"]

ROOT: Final = Path(__file__).parents[3]

PARTS: Final = ("receiver", "processor", "operator")
"""What has an image: requirements/ has a file of the same name for each."""

PINNED: Final = {
    "receiver": ("receiver",),
    "processor": ("processor",),
    "operator": ("operator",),
    "local": ("local",),
    "dev": ("local", "operator", "dev"),
}
"""Files of requirements/, and the extras that each was made of: `make lock`."""

BY: Final = re.compile(r"^ +# +(?:via +)?(?!via$|-c )(.+)$", re.MULTILINE)
"""How a pin says who asked for it."""

OURS: Final = ("forebay (pyproject.toml", "pyproject.toml:tools")
"""How Forebay itself is named there; what is asked for by nobody else stands without a name."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One distribution of a file of requirements/."""

    requirement: Requirement
    hashes: int
    """How many files of the distribution are allowed."""

    direct: bool
    """Whether Forebay itself asks for it."""

    @property
    def name(self) -> str:
        """Its name as indexes write it."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The only version that is installed."""
        return str(self.requirement.specifier).removeprefix("==")


def pins(file: str) -> dict[str, Pin]:
    """Return what a file of requirements/ pins, by name."""
    found = [
        Pin(
            requirement=Requirement(entry.partition("\\")[0]),
            hashes=entry.count("--hash=sha256:"),
            direct=not (by := BY.findall(entry)) or any(name.startswith(OURS) for name in by),
        )
        for entry in re.split(
            r"^(?=\w)", (ROOT / f"requirements/{file}.txt").read_text(), flags=re.MULTILINE
        )[1:]
    ]
    return {pin.name: pin for pin in found}


def asked_for(*extras: str) -> list[Requirement]:
    """Return what pyproject.toml says that the package needs with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    wanted = []
    for requirement in map(Requirement, lines):
        if requirement.name == "forebay":
            wanted += asked_for(*sorted(requirement.extras))
        else:
            wanted.append(requirement)
    return wanted
