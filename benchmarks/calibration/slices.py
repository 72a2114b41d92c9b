"""Many independent samples out of one: replicates are networks, so any slice of draws is a sample.

The residuals of all draws are formed at once, which costs a fiftieth of forming them slice by
slice; from there on every slice is judged by the functions that `compare` calls.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

import varprop as vp
from benchmarks.calibration.setting import Setting
from varprop.comparison.checks import check_comparable
from varprop.comparison.decide import judge_steps
from varprop.comparison.identities import broken_rules, not_dual
from varprop.comparison.judge import drifts
from varprop.comparison.report import Judged
from varprop.comparison.rounding import tolerance
from varprop.comparison.steps import Step, steps
from varprop.network import Network

HELD_AT_ONCE = 1_000_000  # draws x nodes whose residuals are in memory together
DTYPE = "float32"

Residuals = list[Step]


def slices(
    setting: Setting, truth: Network, size: int, count: int, seed: int
) -> Iterator[Residuals]:
    """The residuals of `count` samples of `size` draws of `truth` under the setting's theory."""
    theory = setting.predict()
    most = max(1, HELD_AT_ONCE // (len(theory.network.nodes) * setting.inputs**2) // size)
    batches = [min(most, count - start) for start in range(0, count, most)]
    streams = np.random.SeedSequence(seed).generate_state(len(batches))
    for samples, stream in zip(batches, streams, strict=True):
        sample = setting.simulate(truth, samples * size, int(stream))
        yield from cut(residuals(theory, sample), size)


def residuals(theory: vp.Prediction, sample: vp.Sample) -> Residuals:
    """The steps of the whole sample. Raises RuntimeError where an identity is broken."""
    check_comparable(theory, sample)
    for broken in (*broken_rules(theory), *not_dual(sample)):
        raise RuntimeError(f"{broken.node}: {broken.note}")
    return list(steps(theory.network, sample))


def cut(whole: Residuals, size: int) -> Iterator[Residuals]:
    """Consecutive samples of `size` draws; what is left over is not used."""
    if any(step.impossible or step.refusal for step in whole):
        raise RuntimeError("a step has no residual, or one that the theory leaves no room for")
    for start in range(0, len(whole[0].residual) - size + 1, size):
        yield [_part(step, slice(start, start + size)) for step in whole]


def _part(step: Step, draws: slice) -> Step:
    variance, third = step.variance, step.third
    return replace(
        step,
        residual=step.residual[draws],
        variance=None if variance is None else variance[draws],
        third=None if third is None else third[draws],
        live=step.live[draws],
    )


def judged(
    piece: Residuals, error_rate: float, margin: float = 0.05, false_pass: float = 1e-4
) -> Sequence[Judged]:
    """The rows of `compare` on one slice: steps and drifts, half the error rate each."""
    rates = margin, error_rate / 2, false_pass, tolerance(DTYPE)
    return [*judge_steps(piece, *rates), *judge_steps(drifts(piece), *rates)]


def sharp(piece: Residuals) -> bool:
    """Whether every null law is known; then adjusted p-values do not depend on the error rate."""
    return all(step.variance is not None for step in (*piece, *drifts(piece)))
