"""What has to hold before a verdict counts: the mutated code is what runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from mutants.catalogue import Mutation, Selection
from mutants.trees import Tree
from mutants.trials import Outcome, try_mutation

__all__ = ["CANARIES", "CheckError", "check_trees"]

_MAIN_PATH: Final = Selection(text="tests/component/test_main_path.py")
_COMMAND: Final = Selection(text="tests/component/test_cli_command.py -k version")

CANARIES: Final = (
    Mutation(
        area="canaries",
        id="the-receiver-does-not-start",
        file="services/receiver/forebay_receiver/main.py",
        anchor="def run(",
        becomes="raise SystemExit(3)\n\n\ndef run(",
        suffers="nothing is received",
        fast=_MAIN_PATH,
    ),
    Mutation(
        area="canaries",
        id="the-processor-does-not-start",
        file="services/processor/forebay_processor/main.py",
        anchor="def run(",
        becomes="raise SystemExit(3)\n\n\ndef run(",
        suffers="nothing is delivered",
        fast=_MAIN_PATH,
    ),
    Mutation(
        area="canaries",
        id="the-command-does-not-start",
        file="libs/forebay/__main__.py",
        anchor="sys.exit(main())",
        becomes="sys.exit(3)",
        suffers="the command does nothing",
        fast=_COMMAND,
    ),
)
"""Faults that a test can notice only where the process that it starts runs the copy's code."""

_NOTHING: Final = Mutation(
    area="canaries",
    id="nothing-is-changed",
    file="services/receiver/forebay_receiver/main.py",
    anchor="def run(",
    becomes="def run(",
    suffers="nothing",
    fast=_MAIN_PATH,
)
"""The counter-proof: it has to survive."""


class CheckError(Exception):
    """The tests pass with and without a fault, or fail with both; the message says why."""


def check_trees(trees: Sequence[Tree]) -> None:
    """Show that a copy's code is what runs, in this process' children and in theirs.

    Raises:
        CheckError: where other code ran.
    """
    with ThreadPoolExecutor(len(trees)) as pool:
        tasks = [
            pool.submit(_check_one, tree, [*CANARIES, _NOTHING][number :: len(trees)])
            for number, tree in enumerate(trees)
        ]
        for task in tasks:
            task.result()
    print("the copies' code is what runs, also in the parts that tests start", flush=True)


def _check_one(tree: Tree, canaries: Sequence[Mutation]) -> None:
    try:
        tree.check()
    except RuntimeError as error:
        raise CheckError(str(error)) from error
    for each in canaries:
        expected = Outcome.SURVIVED if each is _NOTHING else Outcome.FAST
        trial = try_mutation(tree, each, is_slow_wanted=False)
        if trial.outcome is not expected:
            message = f"the canary {each.id} {trial.outcome} ({trial.by}); expected: {expected}"
            raise CheckError(message)
