"""docs/licences.md: the licences of what Forebay installs, by the metadata of what is here."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

from support.docs.pinned import PARTS, Pin, pins

__all__ = [
    "ALLOWED",
    "ALLOWED_TO_DEVELOP",
    "PAGE",
    "developing_only",
    "is_allowed",
    "licence_of",
    "page",
    "shipped",
]

PAGE: Final = Path(__file__).parents[3] / "docs" / "licences.md"

ALLOWED: Final = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}
)
"""What may be in an image: those that ask for their text to be kept, and for nothing else."""

ALLOWED_TO_DEVELOP: Final = ALLOWED | {"MIT-CMU", "MPL-2.0"}
"""What `make init` may install, which nobody is given: MPL-2.0 asks that changes of its own files
are published. MIT-CMU is MIT that keeps a name out of advertising."""

SPDX: Final = {
    "apache 2": "Apache-2.0",
    "apache 2 license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
"""What libraries without an SPDX expression call theirs. "BSD License" may be any of several."""

READ: Final = {
    "cronsim": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
    "matplotlib": "PSF-2.0",
}
"""Libraries that name their licence by a word that may be any of several: what their text is.
Matplotlib's is that of Python with its own names."""

NOT_HERE: Final = {"backports-zstd": "PSF-2.0", "tomli": "MIT"}
"""Libraries that only some Pythons need, for the others."""

INTRODUCTION: Final = f"""\
Forebay is under Apache-2.0. What it installs, at the versions of `requirements/`, by what each
library says of itself; made by `make generate`. A licence that is not on the list below fails
`make test`.
`make sbom` writes the same with versions and texts, a file for each image, in the format CycloneDX.
The packages of the base image are in neither,
nor are the programs of `build` and `tools`, which nobody is given.

Allowed in images: {", ".join(sorted(ALLOWED))};
for developing {", ".join(sorted(ALLOWED_TO_DEVELOP - ALLOWED))} too.
The lists are in `tests/support/docs/licences_page.py`.
"""

REFERENCE: Final = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""For which machine the page is, so that it is the same wherever it is written."""


def shipped() -> dict[str, list[str]]:
    """Return what images and `forebay run` hold: the parts of each library, by its name."""
    found: dict[str, list[str]] = {}
    for part in (*PARTS, "local"):
        for name in needed(part):
            found.setdefault(name, []).append(part)
    return dict(sorted(found.items()))


def developing_only() -> list[str]:
    """Return what `make init` installs, and is in no image."""
    return sorted(set(needed("dev")) - shipped().keys())


def needed(file: str) -> list[str]:
    """Return what a file of requirements/ pins for the machine of the page."""
    return [name for name, pin in pins(file).items() if is_for_reference(pin)]


def is_for_reference(pin: Pin) -> bool:
    """Return whether the machine of the page needs it."""
    marker = pin.requirement.marker
    return marker is None or marker.evaluate(REFERENCE)


def licence_of(name: str) -> str:
    """Return a library's licence as an SPDX expression; its own words where they are not one."""
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return NOT_HERE.get(name, "unknown: not installed")
    if "License-Expression" in said:
        return said["License-Expression"]
    if name in READ:
        return READ[name]
    words = (said.get_all("License") or [""])[0]
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or ()
        if each.startswith("License :: OSI Approved :: ")
    ]
    # A name, not the licence's whole text, which some put into this field.
    candidates = [words, *classifiers] if "\n" not in words else classifiers
    known = [SPDX.get(each.lower(), each) for each in candidates if each]
    return next(
        (each for each in known if each in ALLOWED_TO_DEVELOP), " / ".join(known) or "unknown"
    )


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Return whether an SPDX expression can be met by allowed licences.

    It may have AND and OR. None has parentheses or an exception today; one that does is refused.
    """
    return any(
        all(term.strip() in allowed for term in re.split(r"\bAND\b", choice))
        for choice in re.split(r"\bOR\b", expression)
    )


def page() -> str:
    """Return the page."""
    libraries = shipped()
    lines = [
        "# Licences",
        "",
        *INTRODUCTION.splitlines(),
        "",
        "## In images and in `forebay run`",
        "",
        "| library | licence | in |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {licence_of(name)} | {', '.join(parts)} |"
            for name, parts in libraries.items()
        ),
        "",
        "## For developing only",
        "",
        "| licence | libraries |",
        "| --- | --- |",
    ]
    by_licence: dict[str, list[str]] = {}
    for name in developing_only():
        by_licence.setdefault(licence_of(name), []).append(name)
    lines += [
        f"| {licence} | {', '.join(names)} |" for licence, names in sorted(by_licence.items())
    ]
    return "\n".join(lines) + "\n"
