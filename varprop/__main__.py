"""`python -m varprop`: the same as the command `varprop`."""

import sys

from varprop.cli import main

if __name__ == "__main__":
    sys.exit(main())
