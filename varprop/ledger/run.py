"""Run claims: verify the proof, make the experiments, judge."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from time import perf_counter
from zlib import crc32

from varprop.gaussian import forget
from varprop.ledger.claim import Claim, Evidence, Experiment, Outcome, Settings
from varprop.stats import TooFewDraws, Verdict, overall

Progress = Callable[[Claim, int, int], None]


class LedgerError(RuntimeError):
    """A claim that could not be run: it has no outcome, and the ledger itself is at fault."""


def run(
    claims: Sequence[Claim],
    settings: Settings,
    progress: Progress | None = None,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """The outcomes in order, each as it is finished; `progress(claim, k, n)` precedes each.

    With several `jobs` the claims, which must be those of `varprop.ledger.claims()`, run on as many
    processes of one thread each; the numbers do not depend on it.

    Raises LedgerError for two claims of one name, and where `run_claim` does.
    """
    names = [claim.name for claim in claims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LedgerError(f"claims need distinct names; used more than once: {', '.join(twice)}")
    finish = _side_by_side(claims, settings, jobs) if jobs > 1 else _in_turn(claims, settings)
    for number, claim in enumerate(claims, start=1):
        if progress is not None:
            progress(claim, number, len(claims))
        yield next(finish)


def _in_turn(claims: Sequence[Claim], settings: Settings) -> Iterator[Outcome]:
    for claim in claims:
        yield run_claim(claim, settings)


def _side_by_side(claims: Sequence[Claim], settings: Settings, jobs: int) -> Iterator[Outcome]:
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_start_worker)
    try:
        waiting = [pool.submit(_run_named, claim.name, settings) for claim in claims]
        for claim, future in zip(claims, waiting, strict=True):
            yield replace(future.result(), claim=claim)
    except BrokenProcessPool as problem:
        raise LedgerError(
            f"a worker process died, perhaps for want of memory ({described(problem)}); "
            "run with --jobs 1"
        ) from problem
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start_worker() -> None:
    """One thread per process; an interrupt is for the parent to handle."""
    import signal

    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_named(name: str, settings: Settings) -> Outcome:
    """Run a claim by its name; its experiments are functions and stay in the worker."""
    from varprop import ledger

    claim = next(claim for claim in ledger.claims() if claim.name == name)
    return replace(run_claim(claim, settings), claim=replace(claim, experiments=()))


def run_claim(claim: Claim, settings: Settings) -> Outcome:
    """Verify the derivation, make the experiments in order, and take their overall verdict.

    A proof that fails is an outcome (`proved` is False). Raises LedgerError, naming the claim, for
    an unknown derivation, a claim without experiments, an experiment that raises.
    """
    if not claim.experiments:
        raise LedgerError(f"claim {claim.name!r} has no experiment; nothing would be tested")
    started = perf_counter()
    proof, failure = _prove(claim)
    own = seeded(claim, settings)
    evidence = tuple(_make(claim, number, own) for number in range(len(claim.experiments)))
    forget()  # the integrals of one claim are seldom those of the next
    verdict = overall(item.verdict for item in evidence)
    seconds = perf_counter() - started
    return Outcome(claim, not failure, verdict, evidence, seconds, proof, failure)


def seeded(claim: Claim, settings: Settings) -> Settings:
    """`settings` with the claim's own seed: it draws the same numbers alone and among others."""
    return replace(settings, seed=crc32(f"{settings.seed}:{claim.name}".encode()))


def experiment_name(experiment: Experiment) -> str:
    """The name of the function."""
    return getattr(_function(experiment), "__name__", type(experiment).__name__)


def experiment_text(experiment: Experiment) -> str:
    """The docstring of the function: what is done."""
    function = _function(experiment)
    return (inspect.getdoc(function) or "") if inspect.isroutine(function) else ""


def _function(experiment: Experiment) -> Callable[..., Evidence]:
    while isinstance(experiment, partial):
        experiment = experiment.func
    return experiment


def _prove(claim: Claim) -> tuple[str, str]:
    """The text of the derivation, and why it does not verify ("" where it does)."""
    import derivations

    try:
        derivation = derivations.derive(claim.derivation)
        text = derivation.text()
    except Exception as problem:
        raise LedgerError(
            f"claim {claim.name!r}: derivation {claim.derivation!r}: {described(problem)}"
        ) from problem
    try:
        derivation.verify()
    except Exception as problem:
        return text, described(problem)
    return text, ""


def _make(claim: Claim, number: int, settings: Settings) -> Evidence:
    experiment = claim.experiments[number]
    try:
        return experiment(settings)
    except TooFewDraws as refusal:  # no error of the claim: its test says it cannot judge
        return Evidence(experiment_name(experiment), Verdict.UNDECIDED, str(refusal))
    except Exception as problem:
        raise LedgerError(
            f"claim {claim.name!r}: experiment {number + 1} ({experiment_name(experiment)}): "
            f"{described(problem)}"
        ) from problem


def described(problem: Exception) -> str:
    """An exception on one line: its type and what it says."""
    said = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__
