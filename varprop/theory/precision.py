"""Where a dtype can no longer hold the signal.

A node of n channels with second moment q has entries up to about sqrt(q) m_n, where

    m_n = E max(|Z_1|, ..., |Z_n|) = integral over x > 0 of 1 - (2 Phi(x) - 1)^n.

It overflows when that exceeds the largest number of the dtype. Far below, entries are rounded to
multiples of the smallest subnormal d (or set to zero below the smallest normal number, where the
hardware flushes), which changes the second moment that the next layer sees,

    q -> d^2 sum_k (2k - 1) P(|sqrt(q) Z| > (k - 1/2) d),

and the signal is lost, all zeros, when no entry is expected to survive. Sums that are accumulated
in the same dtype lose their small terms one by one, which comes up to two layers earlier.

That is the layer by the mean second moment. Over depths comparable to the width networks differ by
orders of magnitude, and `exceedance` tells the share of them that is beyond any bound.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy import integrate, special

from varprop.layers import Dense
from varprop.network import Network
from varprop.theory.finite_width import length_law
from varprop.theory.prediction import Prediction

POINTS, REACH = 2001, 12  # of the integral over log-lengths, and its reach in deviations


class Range(NamedTuple):
    """The first node that overflows and the first that is all zeros; None where there is none."""

    overflow: str | None
    underflow: str | None


def expected_extreme(channels: int) -> float:
    """m_n = E max |Z_i| over n independent standard normals."""
    return _extreme(int(channels))


@cache
def _extreme(n: int) -> float:
    def tail(x: float) -> float:
        return -np.expm1(n * np.log1p(-special.erfc(x / np.sqrt(2)))) if x > 0 else 1.0

    return integrate.quad(tail, 0, 12, points=[np.sqrt(2 * np.log(n + 1))], epsabs=1e-10)[0]


def range_of(
    theory: Prediction, dtype: torch.dtype, *, flush: bool = False, point: int = 0
) -> Range:
    """The nodes at which a plain forward pass in `dtype` overflows, and loses its signal.

    For networks of nearly Gaussian nodes, such as linear ones. `flush`: the hardware sets
    subnormal numbers to zero. Raises ValueError for a symbolic prediction, and for float64, beyond
    whose range second moments are not known as floats.
    """
    if theory.symbolic:
        raise ValueError("a range needs numbers, and this prediction has SymPy symbols")
    if dtype == torch.float64:
        raise ValueError(
            "a range is known for dtypes below float64, got float64: the squares of its largest "
            "numbers are no floats; use exceedance, which counts in logarithms"
        )
    limits = torch.finfo(dtype)
    step = limits.smallest_normal if flush else limits.smallest_normal * limits.eps
    cut = step if flush else step / 2
    overflow = underflow = None
    stored, before = {}, theory.network.input
    for name, _, inputs in theory.network:
        q = theory.value(name, "second_moment")[point]
        if inputs:  # the exact gain of the layer, on the second moment that was stored below
            before = inputs[0]
            q = stored[before] * (q / max(theory.value(before, "second_moment")[point], 1e-300))
        largest = np.sqrt(q) * expected_extreme(theory.network.sizes[name])
        dense = isinstance(theory.network[name].layer, Dense)
        if overflow is None and largest > limits.max:
            overflow = name
        if not np.isfinite(q):
            break
        if dense and underflow is None and largest < cut:
            underflow = name
        stored[name] = _stored(q, step, flush) if dense else q
    return Range(overflow, underflow)


def exceedance(network: Network, node: str, log_bound: float) -> float:
    """P(max |z_i| > e^log_bound) at the dense `node`, over networks at a unit input.

    Given the layer x below, the n entries are independent N(0, Var(w) |x|^2), so

        P = E[1 - (1 - erfc(bound / sqrt(2 Var(w) |x|^2)))^n],     |x|^2 by `length_law`.

    Raises ValueError for other nodes, and where `length_law` refuses the network.
    """
    layer = network[node].layer
    if not isinstance(layer, Dense):
        raise ValueError(
            f"exceedance is that of the Gaussian entries of a dense layer, and {node!r} is "
            f"{type(layer).__name__}; name a dense node"
        )
    law = length_law(network, node=node)  # which checks the weights of this layer too
    below, y, mass = network[node].inputs[0], np.zeros(1), np.ones(1)
    if below != network.input:
        law = length_law(network, node=below)
        y, step = np.linspace(-REACH, REACH, POINTS, retstep=True)
        y = law.log_mean + law.log_variance**0.5 * y
        mass = law.log_density(y) * law.log_variance**0.5 * step
    deviation = (y + np.log(float(layer.fan_in * layer.weight_variance))) / 2
    tail = special.erfc(np.exp(np.minimum(log_bound - deviation, 300.0)) / np.sqrt(2))
    with np.errstate(divide="ignore"):
        return float(mass @ -np.expm1(layer.fan_out * np.log1p(-tail)))


def _stored(q: float, step: float, flush: bool) -> float:
    """The second moment of N(0, q) after rounding to multiples of `step`, or flushing below it."""
    scaled = step / np.sqrt(2 * q) if q > 0 else np.inf
    if flush:
        kept = 2 * scaled / np.sqrt(np.pi) * np.exp(-(scaled**2)) if scaled < 30 else 0.0
        return q * (special.erfc(scaled) + kept)
    if scaled < 0.01:
        return q
    k = np.arange(1, 1 + int(np.ceil(30 / scaled)))
    return step**2 * float(np.sum((2 * k - 1) * special.erfc((k - 0.5) * scaled)))
