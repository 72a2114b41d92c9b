"""python -m derivations [name] [--latex FILE]: verify all, print one, or write a .tex file."""

import argparse
import sys
import time
from pathlib import Path

from derivations import CATALOGUE, DerivationError, derive
from derivations.render import document


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m derivations", description=__doc__)
    parser.add_argument("name", nargs="?", help="a derivation; without it, all are verified")
    parser.add_argument("--latex", metavar="FILE", type=Path, help="write LaTeX instead")
    options = parser.parse_args(arguments)
    names = [options.name] if options.name else list(CATALOGUE)
    try:
        if options.latex is not None:
            options.latex.write_text(document(*map(derive, names)), encoding="utf-8")
        elif options.name:
            derivation = derive(options.name)
            derivation.verify()
            print(derivation.text())
        else:
            return _verify_all(names)
    except OSError as error:
        why = f"--latex {options.latex}: cannot write there ({error.strerror})"
        print(why, file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except DerivationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _verify_all(names: list[str]) -> int:
    failures, begin = 0, time.perf_counter()
    for name in names:
        start = time.perf_counter()
        try:
            derivation = derive(name)
            derivation.verify()
            outcome = f"{len(derivation.steps):2} steps hold"
        except DerivationError as error:
            failures, outcome = failures + 1, f"FAILS\n{error}"
        print(f"{name:34}{time.perf_counter() - start:7.2f} s  {outcome}", flush=True)
    total = time.perf_counter() - begin
    print(f"{len(names) - failures} of {len(names)} derivations verified in {total:.1f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
