"""`python -m forebay` is the `forebay` command, for where the script is not on the PATH."""

import sys

from forebay.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
