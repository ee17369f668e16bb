"""Mutations: faults that a user would meet, put into a copy of the code; each must fail a test.

A mutation that no test notices marks a promise that nobody would see broken. The catalogue is in
tests/mutants/catalogue: one file an area, with the tests that cover each entry. The working tree is
copied as it is, and never changed.

    make mutants                               all of it, on two copies at a time
    make mutants ARGS=--short                  a part that unit tests notice: under 3 minutes
    make mutants ARGS="--area core processor"  some areas; --list names them
    make mutants ARGS="--only group-message --show"
                                               one entry, with its diff and what the tests said
    make mutants ARGS=--record                 keep the result in docs/results/mutants.md

What becomes of an entry: *caught fast* by unit or component tests, *caught slow* by others, or it
*survived*. Entries without an observable effect are listed with the reason, and not run. The test
that noticed has to pass right after that without the fault, and one with processes to fail a second
time with it: a busy machine catches nothing. The test that noticed an entry in the last record is
asked first.

Before anything counts, it is shown that a copy's code is what runs: a fault in a part that is
started as a process is noticed. The exit status is 0 where at least 90 % were caught, 80 % by the
fast levels.

To add an entry: copy one of the same file, and give it an `id`, the `anchor` (text that stands
once in the file), what it `becomes`, what a user `suffers`, and its tests in `fast` or `slow`.
Choose the fault before you look at the tests. One that survives wants a test, named after the right
behaviour.
"""

import argparse
import difflib
import json
import queue
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from bench.records import RESULTS, Goal, Section, goals_section, keep, show
from mutants.catalogue import ROOT, Mutation, load, mutated
from mutants.checks import CheckError, check_trees
from mutants.trees import Tree, copy_tree
from mutants.trials import Outcome, Trial, try_mutation

CAUGHT_PERCENT: Final = 90
FAST_PERCENT: Final = 80

SHORT: Final = 40
"""Entries of the short form."""


def main() -> int:
    """Run it; returns the exit status."""
    chosen = _arguments()
    mutations = _chosen(load(), chosen)
    if not mutations:
        print("no entry of the catalogue is meant: --list shows what there is", file=sys.stderr)
        return 2
    if chosen.list:
        for each in mutations:
            print(f"{each.area:10} {each.level:10} {each.id:48} {each.suffers}")
        return 0
    trees: list[Tree] = []

    def stop(number: int, _frame: object) -> None:
        # Before the threads are waited for: they would go on with what is left.
        for tree in trees:
            tree.close()
        raise KeyboardInterrupt(number)

    # A runner of CI ends by SIGTERM what takes too long: then too nothing may stay behind.
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        with tempfile.TemporaryDirectory(prefix="forebay-mutants-") as folder:
            trees += [copy_tree(Path(folder) / str(each)) for each in range(chosen.jobs)]
            trials = _run(trees, mutations, chosen)
    except KeyboardInterrupt:
        print("interrupted: the copies are removed, nothing is recorded", file=sys.stderr)
        return 130
    except CheckError as error:
        print(f"the tests cannot judge mutations: {error}", file=sys.stderr)
        return 2
    return _report(mutations, trials, is_recorded=chosen.record)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--area", nargs="+", default=[], help="only these files of the catalogue")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="only these entries")
    parser.add_argument("--short", action="store_true", help="a part, for CI: under 3 minutes")
    parser.add_argument("--fast", action="store_true", help="leave out the slow levels' tests")
    parser.add_argument("--jobs", type=int, default=2, help="copies at a time (2)")
    parser.add_argument("--list", action="store_true", help="list the entries, and run nothing")
    parser.add_argument("--show", action="store_true", help="print each entry's diff, too")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    if chosen.record and (chosen.area or chosen.only or chosen.short):
        parser.error(
            "--record keeps the result of all entries: leave out --area, --only and --short"
        )
    return chosen


def _chosen(mutations: Sequence[Mutation], chosen: argparse.Namespace) -> list[Mutation]:
    found = [
        each
        for each in mutations
        if (not chosen.area or each.area in chosen.area)
        and (not chosen.only or each.id in chosen.only)
    ]
    return _short(found) if chosen.short else found


def _short(mutations: Sequence[Mutation]) -> list[Mutation]:
    """Return entries that unit tests notice, evenly of all that there are."""
    quick = [each for each in mutations if each.level == "unit"]
    step = max(1.0, len(quick) / SHORT)
    return [quick[int(number * step)] for number in range(min(SHORT, len(quick)))]


def _run(
    trees: Sequence[Tree], mutations: Sequence[Mutation], chosen: argparse.Namespace
) -> list[Trial]:
    wanted = [each for each in mutations if each.no_effect is None]
    if chosen.fast:
        wanted = [each for each in wanted if each.level != "slow"]
    print(f"{len(wanted)} mutations on {len(trees)} copies", flush=True)
    check_trees(trees)
    noticed = _noticed_before()
    free: queue.SimpleQueue[Tree] = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def attempt(mutation: Mutation) -> Trial:
        tree = free.get()
        try:
            return try_mutation(
                tree,
                mutation,
                is_slow_wanted=not (chosen.fast or chosen.short),
                noticed_by=noticed.get(mutation.id),
            )
        finally:
            free.put(tree)

    trials = []
    began = time.monotonic()
    with ThreadPoolExecutor(len(trees)) as pool:
        tried = [pool.submit(attempt, each) for each in wanted]
        for future in as_completed(tried):
            trials.append(future.result())
            _print_trial(trials[-1], len(trials), len(tried), began)
            if chosen.show:
                print(_diff(trials[-1].mutation), flush=True)
    return sorted(trials, key=lambda each: wanted.index(each.mutation))


def _noticed_before() -> dict[str, str]:
    """Return which test noticed an entry in the last record."""
    record = RESULTS / "mutants.json"
    if not record.exists():
        return {}
    found = json.loads(record.read_text(encoding="utf-8"))["trials"]
    return {each["id"]: each["by"] for each in found if "::" in each["by"]}


def _print_trial(trial: Trial, done: int, count: int, began: float) -> None:
    left = (time.monotonic() - began) / done * (count - done)
    mark = {Outcome.SURVIVED: "!!", Outcome.BROKEN: "??"}.get(trial.outcome, "  ")
    print(
        f"{mark} {done:3}/{count} {trial.outcome:11} {trial.seconds:5.1f} s  "
        f"{trial.mutation.area}: {trial.mutation.id}  {trial.by}  (~{left / 60:.0f} min left)",
        flush=True,
    )


def _diff(mutation: Mutation) -> str:
    before = (ROOT / mutation.file).read_text(encoding="utf-8")
    after = mutated(mutation, before)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), mutation.file, mutation.id, n=2, lineterm=""
    )
    return "\n".join(lines)


def _report(mutations: Sequence[Mutation], trials: Sequence[Trial], *, is_recorded: bool) -> int:
    counts = Counter(each.outcome for each in trials)
    fast, tried = counts[Outcome.FAST], len(trials)
    caught = fast + counts[Outcome.SLOW]
    goals = [
        _goal(f"caught: {CAUGHT_PERCENT} % or more", caught, tried, CAUGHT_PERCENT),
        _goal(f"caught by the fast levels: {FAST_PERCENT} % or more", fast, tried, FAST_PERCENT),
        Goal(
            what="every mutation could be tried",
            reached=f"{tried - counts[Outcome.BROKEN]} of {tried}",
            holds=not counts[Outcome.BROKEN],
        ),
    ]
    lost = [each for each in trials if each.outcome in {Outcome.SURVIVED, Outcome.BROKEN}]
    sections = [
        goals_section(goals),
        _scores(mutations, trials),
        Section(
            title="Survivors",
            columns=("what a user would suffer", "mutation", "file"),
            rows=[(x.mutation.suffers, x.mutation.id, x.mutation.file) for x in lost],
        ),
        Section(
            title="Without an observable effect",
            columns=("reason", "mutation", "file"),
            rows=[(x.no_effect, x.id, x.file) for x in mutations if x.no_effect is not None],
        ),
    ]
    show([each for each in sections if each.rows])
    if is_recorded:
        everything = Section(
            title="All mutations",
            columns=("what a user would suffer", "mutation", "outcome", "by"),
            rows=[
                (x.mutation.suffers, f"{x.mutation.area}: {x.mutation.id}", x.outcome, x.by or "-")
                for x in trials
            ],
        )
        found = {
            "trials": [
                {"area": x.mutation.area, "id": x.mutation.id, "outcome": x.outcome, "by": x.by}
                for x in trials
            ]
        }
        title = "Faults that the tests notice"
        print(keep("mutants", title, [*sections, everything], found))
    return int(not all(goal.holds for goal in goals))


def _goal(what: str, count: int, tried: int, percent: int) -> Goal:
    share = 100 * count / tried if tried else 100.0
    return Goal(what=what, reached=f"{count} of {tried}: {share:.1f} %", holds=share >= percent)


def _scores(mutations: Sequence[Mutation], trials: Sequence[Trial]) -> Section:
    outcomes = [*Outcome]
    rows = []
    for area in dict.fromkeys(each.area for each in mutations):
        counts = Counter(each.outcome for each in trials if each.mutation.area == area)
        silent = sum(each.area == area and each.no_effect is not None for each in mutations)
        rows.append((area, *(str(counts[each]) for each in outcomes), str(silent)))
    sums = [str(sum(int(row[place]) for row in rows)) for place in range(1, len(outcomes) + 2)]
    return Section(
        title="By area",
        columns=("area", *outcomes, "no effect"),
        rows=[*rows, ("all", *sums)],
    )


if __name__ == "__main__":
    sys.exit(main())
