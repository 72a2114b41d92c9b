r"""neuron_study: is a neuron Gaussian over networks, and if not, as far from it as theory says?

Given the layer x below, Gaussian weights of variance s^2/n and biases of variance b^2 make z normal
of variance v = s^2 |x|^2/n + b^2, which is random over networks unless the width is infinite:

    E z^4 / (E z^2)^2 = 3 E v^2 / (E v)^2 = 3 (1 + u^2 F),      u = s^2 E |x|^2/n / E v

with F the `length_fluctuation` of x; here it is the `kurtosis` of `predict(..., order=1)`, which
also knows weights of other laws. The measured kurtosis is mean(B) / mean(A)^2 over networks, A and
B the averages of z^2 and z^4 over the channels of one network. All channels have one law, so it
estimates the same number as a single neuron, and the replicate is still the network. Its variance
over R networks of m channels is (24/m + 18 V^2)/R to the leading orders in V = Var v/(E v)^2, not
24/R as of one neuron. Averages of 3 v^2 would leave out 24/m, but assume what is to be tested: that
z is normal given x.

    kurtosis    the contrast B - 2 K A + K in units of the mean A has the mean (measured - K):
                studentized test, so the error of a ratio is counted
    Gaussian    that test at K = 3, and `normality_test` of channel 0, share the error rate

True kurtoses that are refuted in % at 1 / .1 %, and samples not too skewed to be tested, m = n:

    n = 64, L = 1, 1 000 draws     .7 / .07     91 / 58
    n = 16, L = 1, 2 000 draws     1.1 / .12    46 / 8
    n = 16, L = 2, 4 000 draws     .9 / .10     14 / .5
    n = 64, L = 4, 20 000 draws    .8 / .2      90 / 53

Sources: Neal (1996), Bayesian Learning for Neural Networks, for the limit; Yaida (2020),
Non-Gaussian processes and neural networks at finite widths; Hanin & Nica (2020) for F.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isnan
from typing import Any, NamedTuple

import numpy as np

from varprop.comparison.checks import check_rates
from varprop.comparison.decide import judge_steps
from varprop.comparison.report import Judged
from varprop.comparison.rounding import tolerance
from varprop.comparison.steps import Step
from varprop.layers import Dense
from varprop.moments import EXACT
from varprop.montecarlo.devices import find_device, whole
from varprop.montecarlo.neurons import layer_values
from varprop.network import Network, check_not_symbolic
from varprop.results import Result
from varprop.stats import (
    NormalityTest,
    Verdict,
    decide_exact,
    normality_test,
    studentized_draws,
    tail_guard,
)
from varprop.stats.normality import FEWEST, SMALLEST_RATE
from varprop.theory import Prediction, predict
from varprop.theory.finite_width import Absent

Array = np.ndarray

GAUSSIAN = 3.0
HERMITE_SKEWNESS = 6 * 6**0.5  # of z^4 - 6 z^2 + 3, the contrast of one normal number


@dataclass(frozen=True, eq=False, repr=False)
class NeuronStudy(Result):
    """Two claims, a row each: `theory`, the kurtosis of this width, and `gaussian`, that of none.

    Gaps, relative, are of the measured `kurtosis` E z^4/(E z^2)^2 (3, not 0, for a Gaussian).
    `normality` holds both tests of the single neuron.
    """

    theory: Judged
    gaussian: Judged
    normality: NormalityTest
    kurtosis: float
    standard_error: float
    margin: float
    error_rate: float
    draws: int
    seed: int

    @property
    def verdict(self) -> Verdict:
        """That on the theory."""
        return self.theory.verdict

    def rows(self) -> Iterator[Judged]:
        return iter((self.theory, self.gaussian))

    def __str__(self) -> str:
        known = self.theory
        foreseen = "no theory" if isnan(known.value) else f"{known.value:.4g} ({known.regime})"
        note = f"; {known.note}" if known.note else ""
        if known.verdict is Verdict.UNDECIDED and known.needed is not None and not note:
            note = f"; about {known.needed} networks would decide"
        return (
            f"{known.verdict}: kurtosis {self.kurtosis:.4g} +- {self.standard_error:.1g} of "
            f"{known.node}, predicted {foreseen}; {self.gaussian.verdict}: it is Gaussian, p = "
            f"{self.gaussian.p_value:.2g}; margin {100 * self.margin:g}%, error rate "
            f"{self.error_rate:.0e}, {self.draws} networks (explicit, seed {self.seed}){note}"
        )


class _Measured(NamedTuple):
    """Of each network: z of channel 0, and the averages of z^2 and z^4 over all channels."""

    node: str
    channels: int
    neuron: Array
    square: Array
    fourth: Array

    @property
    def kurtosis(self) -> float:
        return float(self.fourth.mean() / self.square.mean() ** 2)

    @property
    def standard_error(self) -> float:
        return float(self.contrast(self.kurtosis).std(ddof=1) / len(self.fourth) ** 0.5)

    def contrast(self, value: float) -> Array:
        return kurtosis_contrast(self.square, self.fourth, value)


def kurtosis_contrast(square: Array, fourth: Array, value: float) -> Array:
    """Numbers of each network whose mean is the measured kurtosis minus `value`.

    From the averages of z^2 and z^4 in each. Their spread is that of the kurtosis, to first order.
    """
    mean = square.mean()
    return fourth / mean**2 - 2 * value * square / mean + value


def neuron_study(
    network: Network,
    node: str,
    *,
    inputs: Any = None,
    draws: int,
    seed: int,
    margin: float = 0.05,
    error_rate: float = 1e-3,
    false_pass: float = 1e-4,
    device: str = "auto",
) -> NeuronStudy:
    """Measure one pre-activation of a dense `node` over networks, at one input (or a fresh one).

    theory    REFUTED: the kurtosis is not the predicted one (if that is not exact: not within the
              `margin`). CONFIRMED: it is not refuted, and lies within the `margin` of it.
    gaussian  REFUTED: z is not Gaussian. CONFIRMED: no test says so, and the kurtosis lies within
              the `margin` of 3, as in a network so wide that what is not Gaussian is small.

    Each refutes in error with probability at most `error_rate`, and confirms with at most
    `false_pass`. UNDECIDED otherwise; so where one draw carries the fourth moment, as in networks
    not much wider than deep, and where there is no theory.

    Raises ValueError for nodes that are not dense, several inputs, rates below 1e-3 (where tests of
    normality are not calibrated), neurons that are constant or leave the range of float64.
    """
    x = _checked(network, node, inputs, margin, error_rate, false_pass)
    draws, seed = whole("draws", draws, least=FEWEST), whole("seed", seed, least=0)
    prediction = predict(network, x, order=1)
    stacks = layer_values(network, node, x, seed, draws, find_device(device))
    unit = float(prediction.moments[node].diagonal[0]) ** 0.5
    measured = _measured(node, stacks, unit or 1.0)
    normality = normality_test(measured.neuron, error_rate)
    rates = margin, error_rate, false_pass
    theory = _foreseen(prediction, measured, *rates)
    gaussian = _normal(measured, normality, *rates)
    numbers = measured.kurtosis, measured.standard_error
    return NeuronStudy(theory, gaussian, normality, *numbers, margin, error_rate, draws, seed)


def _checked(
    network: Network, node: str, inputs: Any, margin: float, error_rate: float, false_pass: float
) -> Array | None:
    """The input; raises ValueError for what cannot be studied."""
    check_not_symbolic(network, "a neuron study needs", ", or use predict for formulas")
    layer = network[node].layer
    if not isinstance(layer, Dense):
        dense = ", ".join(n.name for n in network if isinstance(n.layer, Dense))
        raise ValueError(
            f"a neuron study takes the pre-activations of a dense node, and {node} is "
            f"{layer.kind}; take one of {dense}"
        )
    check_rates(margin, error_rate, false_pass)
    if error_rate < SMALLEST_RATE:
        raise ValueError(
            f"error_rate must be at least {SMALLEST_RATE:g}, below which tests of normality are "
            f"not calibrated, got {error_rate!r}; for smaller ones test the steps with vp.compare"
        )
    x = None if inputs is None else network.check_inputs(inputs)
    if x is not None and len(x) > 1:
        raise ValueError(f"a neuron study takes one input, got {len(x)}; study each on its own")
    return x


def _measured(node: str, stacks: Iterator[Any], unit: float) -> _Measured:
    parts = []
    for stack in stacks:
        z = stack[:, 0] / unit  # the fourth power leaves the range of floats sooner than z
        parts.append([v.cpu().numpy() for v in (z[:, 0], (z**2).mean(-1), (z**4).mean(-1))])
    neuron, square, fourth = (np.concatenate(same) for same in zip(*parts, strict=True))
    return _Measured(node, z.shape[-1], neuron, square, fourth)


def _foreseen(
    prediction: Prediction,
    measured: _Measured,
    margin: float,
    error_rate: float,
    false_pass: float,
) -> Judged:
    """The row of the kurtosis that theory knows, or why it knows none."""
    known = prediction.lengths[measured.node]
    if isinstance(known, Absent):
        found = Judged(
            measured.node, "kurtosis", 0, None, "t", Verdict.UNDECIDED, note=known.reason
        )
        return found._replace(measured=measured.kurtosis, regime="")
    value, regime = (
        prediction.value(measured.node, "kurtosis")[0],
        prediction.regime(measured.node, "kurtosis"),
    )
    row = _against(float(value), measured, regime is EXACT, margin, error_rate, false_pass)
    return row._replace(regime=str(regime))


def _against(
    value: float,
    measured: _Measured,
    exact: bool,
    margin: float,
    error_rate: float,
    false_pass: float,
) -> Judged:
    """The row of the claim that the kurtosis is `value`."""
    relative = measured.contrast(value) / value
    refusal, needed = _refusal(measured, error_rate)
    step = Step(
        measured.node,
        "kurtosis",
        point=0,
        other=None,
        family="neuron",
        residual=relative,
        exact=exact,
        live=np.ones(len(relative), bool),
        refusal=refusal,
    )
    (row,) = judge_steps([step], margin, error_rate, false_pass, tolerance("float64"))
    needed = row.needed if needed is None else needed
    return row._replace(value=value, measured=measured.kurtosis, needed=needed)


def _normal(
    measured: _Measured,
    normality: NormalityTest,
    margin: float,
    error_rate: float,
    false_pass: float,
) -> Judged:
    """The row of the claim that z is Gaussian: the kurtosis is 3, and one neuron looks so."""
    row = _against(GAUSSIAN, measured, True, margin, error_rate, false_pass)
    p = min(1.0, 2 * min(row.p_value, float(normality.p_value)))
    low, high = (-inf, inf) if isnan(row.low) else (row.low, row.high)
    verdict = decide_exact(p, low, high, margin, error_rate)
    return row._replace(test="normality", p_value=p, verdict=verdict)


def _refusal(measured: _Measured, level: float) -> tuple[str, int | None]:
    """Why the kurtosis has no honest error, and the draws from which it may have one."""
    draws, channels = len(measured.fourth), measured.channels
    fewest = studentized_draws(HERMITE_SKEWNESS / channels**0.5, level)
    if draws < fewest:
        few = f"fourth moments of {channels} channel(s) are too skewed to be tested at {level:g}"
        return f"{few} in {draws} networks: draw {fewest} or more", fewest
    tail = tail_guard(measured.fourth)
    if not tail.trusted:
        return (
            f"one network of {draws} carries {float(tail.share):.1%} of the fourth moment: draw "
            "more, take a wider or shallower network, or test the steps with vp.compare"
        ), None
    return "", None
