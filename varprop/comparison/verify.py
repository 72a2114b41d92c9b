"""verify: predict, simulate and compare in one call, with the draws that the margin asks for."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from varprop.activations import Activation
from varprop.comparison.checks import check_numeric, check_rates
from varprop.comparison.judge import compare
from varprop.comparison.report import Report
from varprop.layers import Dense, Elementwise
from varprop.moments import Moments
from varprop.montecarlo import simulate
from varprop.network import Network
from varprop.stats import draws_to_certify, studentized_draws
from varprop.theory import Prediction, predict

LEAST = 256  # below this the studentized test refuses at the default error rate


def verify(
    network: Network,
    inputs: Any = None,
    *,
    margin: float = 0.05,
    error_rate: float = 1e-6,
    false_pass: float = 1e-4,
    seed: int = 0,
    draws: int | None = None,
    device: str = "auto",
    engine: str = "explicit",
    progress: bool | None = None,
) -> Report:
    """The report of `compare` on fresh draws: by default as many as confirm a true theory.

    See `compare` for margin and error rates, `simulate` for the engines. Raises ValueError for an
    activation that passes no gradient, like step: its backward steps are all zero.
    """
    check_rates(margin, error_rate, false_pass, "steps")
    theory = predict(network, inputs)
    check_numeric(theory)
    _check_slopes(network)
    if draws is None:
        draws = draws_for(network, margin, false_pass, theory=theory)
    sample = simulate(
        network, inputs, draws=draws, seed=seed, device=device, engine=engine, progress=progress
    )
    return compare(theory, sample, margin=margin, error_rate=error_rate, false_pass=false_pass)


def draws_for(
    network: Network,
    margin: float = 0.05,
    false_pass: float = 1e-4,
    power: float = 0.999,
    *,
    theory: Prediction | None = None,
) -> int:
    """Draws with which a true theory has every step inside the margin with probability `power`.

    `theory` tells the size of the pre-activations; by default that of a unit input.
    """
    theory = predict(network) if theory is None else theory
    size, laws = network.sizes, theory.moments
    variances = [2 / size[n.name] for n in network if isinstance(n.layer, Dense)]
    for n in network:
        if isinstance(n.layer, Elementwise):
            spread = _spread(n.layer.activation, laws[n.inputs[0]].diagonal)
            variances.append(spread / size[n.name])
    if not variances:
        return LEAST
    tests = 4 * len(variances)
    return max(
        LEAST,
        _studentized_floor(network, laws),
        draws_to_certify(margin, max(variances), level=false_pass, power=power, tests=tests),
    )


def _studentized_floor(network: Network, laws: Mapping[str, Moments]) -> int:
    """Draws below which the studentized test refuses, where some step has no exact null law.

    A mean of n channels has a skewness of a few / sqrt(n); 8 / sqrt(n) covers products of pairs.
    """
    dense = {n.name: n.layer for n in network if isinstance(n.layer, Dense)}
    pairs = laws[network.input].mean.shape[-1] > 1
    exact = all(layer.weight_law.gaussian for layer in dense.values()) and not pairs
    if exact or not dense:
        return LEAST
    narrowest = min(network.sizes[name] for name in dense)
    return studentized_draws(8 / narrowest**0.5, 1e-6 / (8 * len(network.nodes)))


def _check_slopes(network: Network) -> None:
    """Raise ValueError for a piecewise constant activation."""
    for n in network:
        if not isinstance(n.layer, Elementwise):
            continue
        phi = n.layer.activation
        if phi.jumps and float(phi.moment(lambda z, _, slope: slope**2, 1.0)) == 0:
            raise ValueError(
                f"verify judges gradients, and autograd passes none through {phi} at {n.name}, "
                "which is constant between its jumps; compare predict with "
                "simulate(..., backward=False) for the forward steps alone"
            )


def _spread(phi: Activation, q: np.ndarray) -> float:
    """The larger relative variance of phi(z)^2 and of (phi'(z) y)^2, z ~ N(0, q), y ~ N(0, 1)."""
    q = np.unique(q[q > 0])
    if not q.size:
        return 2.0
    slope = phi.moment(lambda z, _, slope: slope**4, q, 0)
    if phi.jumps:  # what autograd multiplies by: phi' without its point masses
        even = phi.moment(lambda z, _, slope: slope**2, q, 0)
    else:
        even = phi.derivative_second_moment(q)
    value = phi.fourth_moment(q) / phi.second_moment(q) ** 2
    moved = 3 * slope / np.where(even > 0, even, 1.0) ** 2
    return float(max(3.0, np.max(value), np.max(moved))) - 1
