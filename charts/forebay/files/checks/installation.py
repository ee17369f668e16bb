"""`helm test`: asks the parts through their Services whether they are ready, and says what is not.

Needs nothing but Python. Each argument is `name=URL=status`.
"""

import sys
import time
import urllib.error
import urllib.request

DEADLINE_SECONDS = 60


def ask(url: str) -> tuple[int, str]:
    """Return the status of an answer and its body; status 0 where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own Services
            return answer.status, answer.read(2000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(2000).decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def main() -> int:
    """Ask again and again until all answer as they should, or the deadline passes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    failed = 0
    for argument in sys.argv[1:]:
        name, url, wanted = argument.split("=")
        status, body = ask(url)
        while status != int(wanted) and time.monotonic() < deadline:
            time.sleep(1)
            status, body = ask(url)
        is_fine = status == int(wanted)
        failed += not is_fine
        answer = f"{status} {body}".strip()
        print(f"{'ok    ' if is_fine else 'FAILED'} {name}: {answer}")  # noqa: T201  # its log
    return 1 if failed else 0


sys.exit(main())
