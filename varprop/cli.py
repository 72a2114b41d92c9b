"""The command `varprop`: run the ledger of claims, print a derivation.

Nothing heavy is imported before a command needs it, so that `varprop --help` is instant.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varprop.ledger.claim import Claim, Outcome, Settings

OK, FAILED, USAGE, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 130
SCALES = {"quick": 1.0, "full": 4.0}
FILES = ("ledger.json", "ledger.html")
PIPED_WIDTH = 120  # of the table, where no terminal says

EXIT_CODES = """exit status:
  0    every claim got its expected verdict
  1    a claim did not, its proof fails, or it could not be run
  2    usage error; nothing was run
  3    claims stayed undecided where a verdict was expected, and none contradicts
  130  interrupted; what was finished is kept"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status, and prints errors as one line on stderr."""
    for stream in (sys.stdout, sys.stderr):  # a letter that a terminal lacks is no error
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        args = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said what it had to say
        return stop.code if isinstance(stop.code, int) else OK
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except (ImportError, OSError, RuntimeError, ValueError) as problem:
        return _complain(problem, FAILED)


def _parser() -> argparse.ArgumentParser:
    from varprop import __version__

    parser = argparse.ArgumentParser(
        prog="varprop",
        description="Derive how variance travels through deep networks, measure it, and decide.",
    )
    parser.add_argument("--version", action="version", version=f"varprop {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    verify = commands.add_parser(
        "verify",
        help="prove and measure the ledger of claims",
        description="Verify each claim's proof, make its experiments and compare the verdict "
        "with the expected one. Writes ledger.json and ledger.html.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verify.set_defaults(run=_verify)
    add = verify.add_argument
    add("--profile", choices=SCALES, default="quick", help="full: four times the draws")
    add("--only", metavar="GLOB", action="append", help="claims by name or source row; repeatable")
    add("--seed", metavar="N", type=_seed, default=0, help="seed of all draws (default: 0)")
    add("--device", metavar="D", default="auto", help="auto (default), cpu or cuda")
    add("--jobs", metavar="N", type=_jobs, help="processes (default: one per core on a CPU)")
    add("--out", metavar="DIR", type=Path, default=Path(), help="folder of the files (default: .)")
    shown = verify.add_mutually_exclusive_group()
    shown.add_argument("--list", action="store_true", help="list the claims; run nothing")
    shown.add_argument("--json", action="store_true", help="print JSON instead of the table")

    derive = commands.add_parser(
        "derive",
        help="print a derivation, checked",
        description="Print a derivation and verify its steps; without NAME, list those there are.",
    )
    derive.set_defaults(run=_derive)
    derive.add_argument("name", metavar="NAME", nargs="?", help="name of the derivation")
    return parser


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _default_jobs(device: str, count: int) -> int:
    """Processes for `count` claims: one per core, few enough that starting them pays."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 1 if device != "cpu" else max(1, min(cores or 1, count // 4))


def _complain(problem: object, status: int) -> int:
    print(f"varprop: {' '.join(str(problem).split())}", file=sys.stderr)
    return status


def _verify(args: argparse.Namespace) -> int:
    from varprop import ledger

    try:
        claims = _chosen(ledger.claims(), args.only)
        if args.list:
            return _list(claims)
        settings = _settings(args)
        _check_folder(args.out)
    except (OSError, ValueError) as problem:
        return _complain(problem, USAGE)
    jobs = args.jobs or _default_jobs(settings.device, len(claims))
    return _run(claims, settings, jobs, args.out, args.json)


def _run(
    claims: "Sequence[Claim]", settings: "Settings", jobs: int, folder: Path, as_json: bool
) -> int:
    from varprop.ledger.html import page, section
    from varprop.ledger.table import summary, to_json, write

    outcomes, sections, stopped = _outcomes(claims, settings, jobs)
    if not outcomes:
        return _complain("no claim was finished; nothing was written", stopped or FAILED)
    missing = [claim.name for claim in claims[len(outcomes) :]]
    text = to_json(outcomes, settings, missing)
    write(folder / FILES[0], text)
    sections += [section(k, outcomes[k]) for k in range(len(sections), len(outcomes))]
    write(folder / FILES[1], page(outcomes, settings, missing, sections))
    if as_json:
        print(text, end="")
    else:
        _print_table(outcomes)
        print(summary(outcomes) + (f"; not finished: {', '.join(missing)}" if missing else ""))
    print(f"written: {', '.join(str(folder / name) for name in FILES)}", file=sys.stderr)
    return stopped or _status(outcomes)


def _outcomes(
    claims: "Sequence[Claim]", settings: "Settings", jobs: int
) -> "tuple[list[Outcome], list[str], int]":
    """The claims that were finished, the first of their sections of the page, which are drawn while
    the workers compute, and the exit status of what stopped the run, or 0."""
    from varprop.ledger.html import section
    from varprop.ledger.run import LedgerError, run

    outcomes: list[Outcome] = []
    sections: list[str] = []
    status = OK
    try:
        with _progress(len(claims)) as (begin, end):
            for outcome in run(claims, settings, begin, jobs):
                outcomes.append(outcome)
                end(outcome)
                if len(sections) == len(outcomes) - 1:
                    with suppress(Exception):  # drawn, and raised, once the numbers are written
                        sections.append(section(len(sections), outcome))
    except LedgerError as problem:
        status = _complain(problem, FAILED)
    except KeyboardInterrupt:
        status = _complain("interrupted", INTERRUPTED)
    return outcomes, sections, status


def _status(outcomes: "Sequence[Outcome]") -> int:
    from varprop.ledger.table import status

    kinds = {status(outcome) for outcome in outcomes} - {"as expected"}
    if not kinds:
        return OK
    return UNDECIDED if kinds == {"undecided"} else FAILED


def _chosen(claims: "Sequence[Claim]", globs: Sequence[str] | None) -> "Sequence[Claim]":
    """The claims whose name or one of whose rows matches; every glob must match something."""
    if globs is None:
        return claims

    def matching(glob: str) -> "list[Claim]":
        return [c for c in claims if any(fnmatchcase(key, glob) for key in (c.name, *c.rows))]

    for glob in globs:
        if not matching(glob):
            keys = sorted({key for claim in claims for key in (claim.name, *claim.rows)})
            raise ValueError(
                f"--only {glob!r} matches no claim{_close(glob, keys)}; "
                "varprop verify --list shows all"
            )
    names = {claim.name for glob in globs for claim in matching(glob)}
    return tuple(claim for claim in claims if claim.name in names)


def _close(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word.strip("*?"), words, n=3, cutoff=0.4)
    return f"; close: {', '.join(near)}" if near else ""


def _list(claims: "Sequence[Claim]") -> int:
    name = max((len(claim.name) for claim in claims), default=0)
    rows = max((len(" ".join(claim.rows)) for claim in claims), default=0)
    for claim in claims:
        print(f"{claim.name:{name}}  {' '.join(claim.rows):{rows}}  {claim.title}")
    return OK


def _settings(args: argparse.Namespace) -> "Settings":
    from varprop.ledger.claim import Settings
    from varprop.montecarlo.devices import find_device

    return Settings(args.seed, str(find_device(args.device)), SCALES[args.profile])


def _check_folder(folder: Path) -> None:
    """Make the folder and try to write there, before an hour of work and not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        why = "it is a file, and a folder is needed" if folder.is_file() else problem.strerror
        raise ValueError(f"--out {folder}: cannot write there ({why})") from None
    for name in FILES:
        if (folder / name).is_dir():
            raise ValueError(f"--out {folder}: {name} is a folder there; remove it")


@contextmanager
def _progress(
    count: int,
) -> "Iterator[tuple[Callable[[Claim, int, int], None], Callable[[Outcome], None]]]":
    """What to call before and after each claim: a live line on a terminal, else a line each."""
    from varprop.ledger.table import STYLES

    finished = 0

    def line(outcome: "Outcome") -> str:
        nonlocal finished
        finished += 1
        wanted = outcome.claim.expected
        mark = "" if outcome.verdict is wanted else f", expected {wanted}"
        proof = "" if outcome.proved else ", proof fails"
        where = f"[{finished}/{count}] {outcome.claim.name}"
        return f"{where}: {outcome.verdict}{mark}{proof} ({outcome.seconds:.1f} s)"

    if not sys.stderr.isatty():
        yield (lambda *_: None, lambda outcome: print(line(outcome), file=sys.stderr, flush=True))
        return

    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=count)

        def end(outcome: "Outcome") -> None:
            style = STYLES[outcome.verdict] if outcome.as_expected else "bold red"
            bar.advance(task)
            bar.console.print(escape(line(outcome)), style=style)

        yield (lambda claim, *_: bar.update(task, description=escape(claim.name)), end)


def _print_table(outcomes: "Sequence[Outcome]") -> None:
    from rich.console import Console

    from varprop.ledger.table import table

    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)
    console.print(table(outcomes))


def _derive(args: argparse.Namespace) -> int:
    import derivations

    if args.name is None:
        print("\n".join(derivations.CATALOGUE))
        return OK
    try:
        derivation = derivations.derive(args.name)
    except ValueError as problem:
        return _complain(problem, USAGE)
    print(derivation.text())
    try:
        derivation.verify()
    except AssertionError as problem:
        return _complain(problem, FAILED)
    print("every step is verified", file=sys.stderr)
    return OK


if __name__ == "__main__":
    sys.exit(main())
