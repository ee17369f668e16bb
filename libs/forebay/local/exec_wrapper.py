"""Runs in front of each part: ties its life to that of `forebay run`, then becomes the part.

Started as a script of its own, without the project's libraries:
`exec_wrapper.py <parent> <nice> <program> <argument>...`. What it sets outlives the exec.
Doing this between fork and exec inside a Python program with threads can hang, so it has a process
of its own, for 15 ms.
"""

import ctypes
import os
import signal
import sys

__all__ = ["launch"]

_SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def launch(parent: int, niceness: int, program: list[str]) -> None:
    """Become the program; it gets SIGTERM when the parent ends, however that comes.

    On systems other than Linux a part outlives a run that was killed with SIGKILL.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the run that started this has ended")
    if niceness:
        os.nice(niceness)
    os.execv(program[0], program)  # noqa: S606  # no shell wanted: the program is ours


if __name__ == "__main__":
    launch(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
