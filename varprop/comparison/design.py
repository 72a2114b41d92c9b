"""How many networks a verdict takes: from the widths, the activations and the error rates.

A step of relative variance v, measured on R networks with S its Pearson III law, is refuted outside
the quantiles of S at the false alarms, confirmed where its interval at `false_pass` lies inside the
margin. Where both together are narrower than the margin, that is

    smallest_detectable(R, v, false alarms, false_pass) <= margin,

no outcome leaves it undecided: a look at so many networks decides every step whose null is exact.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from varprop.activations import Activation
from varprop.comparison.judge import FAMILIES
from varprop.layers import Dense, Elementwise
from varprop.moments import Moments
from varprop.network import Network
from varprop.stats import Look, draws_to_certify, schedule, smallest_detectable, studentized_draws
from varprop.stats.sequential import RATIO
from varprop.theory import Prediction, predict

LEAST = 256  # below this the studentized test refuses at the default error rate
POWER = 0.999  # of the planned draws, against a true theory


@dataclass(frozen=True)
class Design:
    """The largest relative variance of a step, how many tests there are, and how few draws do."""

    variance: float
    tests: int
    least: int

    @staticmethod
    def of(theory: Prediction, error_rate: float = 1e-6) -> "Design":
        """Of the steps of all points and pairs of points, at this rate of false alarms."""
        network, laws, points = theory.network, theory.moments, theory.points
        size = network.sizes
        variances = [2 / size[n.name] for n in network if isinstance(n.layer, Dense)]
        for n in network:
            if isinstance(n.layer, Elementwise):
                spread = _spread(n.layer.activation, laws[n.inputs[0]].diagonal)
                variances.append(spread / size[n.name])
        least = max(LEAST, _studentized_floor(network, laws, error_rate))
        tests = 4 * (len(network.nodes) - 1) * points * (points + 1) // 2
        return Design(max(variances, default=0.0), tests, least)

    def draws(self, margin: float, false_pass: float, power: float = POWER) -> int:
        """Draws with which a true theory has every step inside the margin with that power."""
        if not self.variance:
            return self.least
        tests = self.tests
        certify = draws_to_certify(margin, self.variance, false_pass, power=power, tests=tests)
        return max(self.least, certify)

    def decides(self, look: Look, margin: float) -> bool:
        """Whether the look decides every step whose null is exact, whatever was measured."""
        if look.draws < self.least or not self.variance:
            return look.draws >= self.least
        rates = look.error_rate / FAMILIES, look.false_pass, self.tests
        return smallest_detectable(look.draws, self.variance, *rates) <= margin

    def looks(
        self, margin: float, error_rate: float, false_pass: float, budget: int | None = None
    ) -> tuple[Look, ...]:
        """The looks of a run: by default up to the first that decides every exact step."""
        planned = self.draws(margin, false_pass)
        if budget is not None:
            return schedule(planned, budget, error_rate, false_pass)
        last = float(planned)
        while True:
            looks = schedule(planned, round(last), error_rate, false_pass)
            if self.decides(looks[-1], margin):
                return looks
            last *= RATIO


def draws_for(
    network: Network,
    margin: float = 0.05,
    false_pass: float = 1e-4,
    power: float = POWER,
    *,
    theory: Prediction | None = None,
) -> int:
    """Draws with which a true theory has every step inside the margin with probability `power`.

    `theory` tells the size of the pre-activations; by default that of a unit input.
    """
    theory = predict(network) if theory is None else theory
    return Design.of(theory).draws(margin, false_pass, power)


def _studentized_floor(network: Network, laws: Mapping[str, Moments], error_rate: float) -> int:
    """Draws below which the studentized test refuses, where some step has no exact null law.

    A mean of n channels has a skewness of a few / sqrt(n); 8 / sqrt(n) covers products of pairs.
    """
    dense = {n.name: n.layer for n in network if isinstance(n.layer, Dense)}
    pairs = laws[network.input].mean.shape[-1] > 1
    laws_drawn = [
        law for layer in dense.values() for law in (layer.weight_law, layer.bias_law) if law
    ]
    exact = all(law.gaussian or law.variance == 0 for law in laws_drawn) and not pairs
    if exact or not dense:
        return 0
    narrowest = min(network.sizes[name] for name in dense)
    return studentized_draws(8 / narrowest**0.5, error_rate / (8 * len(network.nodes)))


def _spread(phi: Activation, q: np.ndarray) -> float:
    """The larger relative variance of phi(z)^2 and of (phi'(z) y)^2, z ~ N(0, q), y ~ N(0, 1)."""
    q = np.unique(q[q > 0])
    if not q.size:
        return 2.0
    if phi.homogeneous:  # the scale of z drops out of every ratio
        q = np.ones(1)
    slope = phi.moment(lambda z, _, slope: slope**4, q, 0)
    if phi.jumps:  # what autograd multiplies by: phi' without its point masses
        even = phi.moment(lambda z, _, slope: slope**2, q, 0)
    else:
        even = phi.derivative_second_moment(q)
    square = phi.second_moment(q) ** 2
    value = phi.fourth_moment(q) / np.where(square > 0, square, np.inf)  # 0 where floats end
    moved = 3 * slope / np.where(even > 0, even, 1.0) ** 2
    return float(max(3.0, np.max(value), np.max(moved))) - 1
