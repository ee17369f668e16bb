"""A runbook followed word by word: each command and query of "How to see it", and what it says."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from support.incidents.incident import Place
from support.observability.prometheus_api import PrometheusApi
from support.programs.command import CommandFailedError, run

__all__ = ["Answer", "Step", "follow", "steps"]

FOLDER: Final = Path(__file__).parents[3] / "docs" / "runbooks"

STEP_SECONDS: Final = 60.0

_ID: Final = "0b6ea2e2"
"""Of a dead letter, in the runbooks."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command, or one query, as it stands there."""

    kind: Literal["sh", "promql"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a step."""

    step: Step
    said: str
    """What it printed, or its error."""

    works: bool
    seconds: float

    def text(self) -> str:
        """Return both as a terminal shows them."""
        return f"{self.step.text}\n{self.said}"


def steps(alert: str, place: Place | None, release: str) -> list[Step]:
    """Return what an alert's runbook says to type, with a reader's own names put in.

    Args:
        alert: Its name.
        place: The endpoint that it is about.
        release: The namespace of Forebay.
    """
    page = (FOLDER / f"{alert}.md").read_text()
    section = page.partition("## How to see it\n")[2].partition("\n## ")[0]
    found = []
    for kind, block in re.findall(r"```(sh|promql)\n(.*?)```", section, re.DOTALL):
        if kind == "promql":
            found.append(Step(kind="promql", text=_named(" ".join(block.split()), place, release)))
        else:
            found += [
                Step(kind="sh", text=_named(each, place, release)) for each in _commands(block)
            ]
    return found


async def follow(
    alert: str, place: Place | None, release: str, prometheus: PrometheusApi
) -> list[Answer]:
    """Take every step of an alert's runbook, one after the other."""
    answers: list[Answer] = []
    for step in steps(alert, place, release):
        answers.append(await _take(_with_id(step, answers), prometheus, release))
    return answers


def _with_id(step: Step, before: list[Answer]) -> Step:
    """Put the id of a dead letter that was listed before in the place of the page's."""
    listed = "\n".join(each.said for each in before if "forebay dead ls" in each.step.text)
    found = re.search(r"(?<![\w-])[0-9a-f]{8}", listed)
    return step if found is None else replace(step, text=step.text.replace(_ID, found.group()))


async def _take(step: Step, prometheus: PrometheusApi, release: str) -> Answer:
    began = time.monotonic()
    works = True
    try:
        if step.kind == "promql":
            said = "\n".join(
                f"{_labels(each['metric'])} {float(each['value'][1]):.4g}"
                for each in await prometheus.query(step.text)
            )
        else:
            script = f"{_named(_helper(), None, release)}\n{step.text}"
            said = await run("bash", "-c", script, within=STEP_SECONDS)
            # Every command of a runbook shows something, or it is no help.
            works = bool(said.strip())
    except CommandFailedError as error:
        # The message repeats the script.
        said, works = str(error).rpartition(f"{step.text}: ")[2], False
    return Answer(
        step=step, said=said.strip() or "(nothing)", works=works, seconds=time.monotonic() - began
    )


def _helper() -> str:
    """Return the shell function that the runbooks' first page says to paste."""
    page = (FOLDER / "README.md").read_text()
    (block,) = re.findall(r"```sh\n(ask\(\).*?)```", page, re.DOTALL)
    return str(block)


def _commands(block: str) -> Iterator[str]:
    """Yield the commands of a block; one may go on in the next line."""
    for line in block.replace("\\\n", " ").splitlines():
        command = re.sub(r"\s+# .*$", "", line).strip()
        if command and not command.startswith("#"):
            yield command


def _named(text: str, place: Place | None, release: str) -> str:
    """Put a reader's names in the place of the page's."""
    text = re.sub(r"(-n|--namespace) forebay(?![\w-])", rf"\1 {release}", text)
    text = text.replace('namespace="forebay"', f'namespace="{release}"')
    if place is not None:
        text = re.sub(r"\bacme\b", place.namespace, text)
        text = re.sub(r"\bshop\b", place.endpoint, text)
    return text


def _labels(labels: dict[str, str]) -> str:
    name = labels.get("__name__", "")
    rest = ", ".join(f"{key}={value}" for key, value in labels.items() if key != "__name__")
    return f"{name}{{{rest}}}"
