"""Gauss-Lobatto and stretched trapezoidal rules, and what an `Estimate` is."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

REACH = 13.0  # |Z| beyond this has density below 1e-37
ROUNDING = 5e-15  # of E |f|: of the variances' roots, the nodes and powers of them
SAFETY = 4.0  # on the difference of the rules
FLOOR = 5e-12  # of E |f|: rules may agree by chance about a jump as small as that
STRETCH = 4.0  # z = STRETCH sinh(t): nodes thin out in the tails, and cannot alias one frequency
STEP = 0.26  # of z at the origin, for a pole at distance pi / 2 and scale 1
VARIANTS = ((1.0, 0.0), (0.9, 0.5), (0.81, 0.25))  # step and offset of rules that share no node


INSET = 2e-14
RIM = 0.5  # |Z| from REACH - RIM to REACH: its share of E |f| bounds what lies beyond
MOST_RIM = 1e-2  # of E |f|: beyond this the function grows as fast as the density falls


class Estimate(NamedTuple):
    """A quadrature `value`, an upper estimate of its absolute `error`, and the `size` E |f|."""

    value: np.ndarray
    error: np.ndarray
    size: np.ndarray


class Rule(NamedTuple):
    """Nodes (d, N) of a d-dimensional standard normal, with weights (N, 3) of three rules on them.

    The value is the mean of the rules, their difference the error. `rim` (N, 2) has the mean
    weights, of all nodes and of those next to the boundary.
    """

    nodes: np.ndarray
    weights: np.ndarray
    rim: np.ndarray

    def apply(self, values: np.ndarray) -> Estimate:
        """The integral of a function from its values (..., N) at the nodes."""
        rules, size = values @ self.weights, np.abs(values) @ self.rim
        error = SAFETY * np.ptp(rules, -1) + FLOOR * size[..., 0]
        error = error + beyond(size[..., 1], size[..., 0])
        return Estimate(rules.mean(-1), error, size[..., 0])


def beyond(rim: np.ndarray, size: np.ndarray, most: float = np.inf) -> np.ndarray:
    """A bound of the integral of |f| beyond REACH: twice that over the rim.

    It is `most` times that if |f| grows there as fast as the density falls.
    """
    with np.errstate(invalid="ignore"):
        return rim * np.where(rim > MOST_RIM * size, most, 2.0)


def density(z: np.ndarray) -> np.ndarray:
    """The standard normal density."""
    return np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def level(scale: np.ndarray) -> np.ndarray:
    """The number of the coarsest rule for integrands of that scale: half an octave each."""
    return np.ceil(2 * np.log2(np.maximum(scale, 0.5)) - 1e-9).astype(int)


@lru_cache(maxsize=512)
def trapezoid(*levels: int) -> Rule:
    """Products of one stretched trapezoidal rule per dimension, of the given levels.

    Converges geometrically for an integrand that is analytic within about pi / (2 scale).
    """
    parts = [_product(*(_stretched(lev, *way) for lev in levels)) for way in VARIANTS]
    nodes = np.concatenate([z for z, _ in parts], -1)
    weights = np.zeros((nodes.shape[-1], len(parts)))
    start = 0
    for rule, (_, weight) in enumerate(parts):
        weights[start : start + weight.size, rule] = weight
        start += weight.size
    mean = weights.mean(-1)
    outside = np.sum(nodes**2, 0) > (REACH - RIM) ** 2
    return Rule(nodes, weights, np.stack([mean, np.where(outside, mean, 0.0)], -1))


def _stretched(level: int, finer: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z = STRETCH sinh(t), t evenly spaced."""
    step = STEP * 2.0 ** (-level / 2) / STRETCH * finer
    count = int(np.ceil(np.arcsinh(REACH / STRETCH) / step)) + 1
    t = step * (np.arange(-count, count + 1) + offset)
    z = STRETCH * np.sinh(t)
    return z, density(z) * step * STRETCH * np.cosh(t)


def _product(*factors: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The nodes of the product rule within REACH of the origin."""
    nodes = np.stack([z.reshape(-1) for z in np.meshgrid(*(z for z, _ in factors), indexing="ij")])
    weights = np.prod(np.meshgrid(*(w for _, w in factors), indexing="ij"), 0).reshape(-1)
    inside = np.sum(nodes**2, 0) <= REACH**2
    return nodes[:, inside], weights[inside]


@lru_cache
def legendre_unit(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    node, weight = np.polynomial.legendre.leggauss(order)
    return (node + 1) / 2, weight / 2


@lru_cache
def lobatto(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Lobatto nodes and weights on [-1, 1]: the ends are nodes, so no jump hides there.

    A caller draws them in by INSET, because a function may have two values at a kink.
    """
    inner, share = special.roots_jacobi(order - 2, 1.0, 1.0)
    end = 2 / (order * (order - 1))
    node = np.concatenate([[-1.0], inner, [1.0]])
    weight = np.concatenate([[end], share / (1 - inner**2), [end]])
    return node, weight


@lru_cache
def null_rules(order: int, count: int) -> np.ndarray:
    """(order, count): rules that give high Legendre coefficients of a function on [-1, 1].

    They vanish for a function that the Gauss rule resolves, and not all at once for a jump.
    """
    node, weight = lobatto(order)
    degrees = np.arange(order - 1 - count, order - 1)
    return np.polynomial.legendre.legvander(node, order - 1)[:, degrees] * (
        weight[:, None] * (2 * degrees + 1)
    )
