"""Write the guide and the reference: python -m varprop.reference [--out DIR]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages; returns the exit status, and prints errors as one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m varprop.reference",
        description="Write the guide and the reference of the public names as pages of HTML.",
    )
    default = Path("build", "reference")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=default, help=f"folder (default: {default})"
    )
    folder = parser.parse_args(argv).out
    try:
        from varprop.reference.build import build

        print(build(folder))
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "pdoc":
            raise
        print("varprop.reference needs pdoc: pip install 'varprop[docs]'", file=sys.stderr)
        return 1
    except OSError as problem:
        print(
            f"--out {folder}: cannot write there ({problem.strerror}); name a folder",
            file=sys.stderr,
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
