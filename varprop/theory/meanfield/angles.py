"""The correlation fixed point at many (q, sigma_w^2) at once, by interpolation in q and the angle.

With e = 1 - c = 1 - cos(theta), rho(q, theta) = E (phi - phi')^2 / (2 q e) and q' / q = N, a fixed
point solves

    skip^2 + sigma_w^2 rho + sigma_w^2 (1/keep - 1) E phi^2 / (q e) = N

whose left side falls as e grows, as c' is convex in c. N = 1 at 0 < q < inf. rho is analytic in
log q (see `tabulate`) and in theta, over angles of the order of 1/sqrt(q) where phi saturates; its
slope gives E phi'(z) phi'(z') = rho + tan(theta/2) d rho / d theta.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from scipy.optimize import elementwise

from varprop.activations import Activation
from varprop.theory.meanfield.fixed_points import MARGIN

LENGTH, ORDER_Q, ORDER_ANGLE, RATIO = 1.0, 14, 20, 2.5
FLAT = 1e-12  # an excess below this at every angle: the map is the identity


class Angles(NamedTuple):
    """rho as Chebyshev series (cells, pieces, ORDER_ANGLE) on pieces between `edges` of theta."""

    series: np.ndarray
    edges: np.ndarray


class Layer(NamedTuple):
    """What the equation takes besides rho, one entry a cell: sigma_w^2, N and E phi^2 / q."""

    weight: np.ndarray
    normal: np.ndarray
    kept: np.ndarray
    keep: float
    skip: float

    def excess(self, rho: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """(1 - c') N / (1 - c) - N; times 1 - c under dropout, whose noise has a pole at c = 1."""
        plain = self.skip**2 + self.weight * rho - self.normal
        if self.keep == 1:
            return plain
        return _deficit(theta) * plain + self.weight * (1 / self.keep - 1) * self.kept


def interior(phi: Activation, q: np.ndarray) -> list[tuple[np.ndarray, Angles]]:
    """rho of phi at each q, in groups of neighbouring q: (places of the group, its angles)."""
    piece = np.floor(np.log(q) / LENGTH).astype(int)
    groups = []
    for k in np.unique(piece):
        here = np.flatnonzero(piece == k)
        middle = LENGTH * (k + 0.5)
        nodes = np.exp(middle + LENGTH / 2 * chebyshev.chebpts1(ORDER_Q))
        made = tabulated(lambda q, e: phi.gap(q, q, q * e) / (q * e), nodes)
        inverse = np.linalg.inv(chebyshev.chebvander(chebyshev.chebpts1(ORDER_Q), ORDER_Q - 1))
        x = (np.log(q[here]) - middle) * 2 / LENGTH
        rows = chebyshev.chebvander(x, ORDER_Q - 1) @ inverse
        groups.append((here, Angles(np.tensordot(rows, made.series, 1), made.edges)))
    return groups


def tabulated(ratio: Callable[[Any, Any], Any], q: np.ndarray) -> Angles:
    """rho as series in the angle, at each q; finer where phi(sqrt(q) Z) varies fast."""
    first = min(np.pi / 2, 1 / np.sqrt(q.max()))
    count = int(np.ceil(np.log(np.pi / 2 / first) / np.log(RATIO)))
    edges = np.append(0.0, np.geomspace(first, np.pi / 2, count + 1))
    x = chebyshev.chebpts1(ORDER_ANGLE)
    theta = (edges[1:, None] + edges[:-1, None] + np.diff(edges)[:, None] * x) / 2
    shape = (q.size, *theta.shape)
    grid = np.broadcast_arrays(q[:, None, None], _deficit(theta)[None])
    values = np.reshape(ratio(*(axis.ravel() for axis in grid)), shape)
    inverse = np.linalg.inv(chebyshev.chebvander(x, ORDER_ANGLE - 1))
    return Angles(values @ inverse.T, edges)


def solve(angles: Angles, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """(1 - c*, dc'/dc there) of each cell; nan where every correlation is kept."""
    series, edges = angles
    ends = [series @ chebyshev.chebvander(np.array(x), ORDER_ANGLE - 1)[0] for x in (-1.0, 1.0)]
    start = layer.excess(ends[0][:, 0], np.array(0.0))
    level = np.stack([start, *(layer.excess(ends[1][:, k], t) for k, t in enumerate(edges[1:]))])
    flat = (np.abs(level) < FLAT).all(0) & (layer.keep == 1)
    aligned = level[0] <= MARGIN * layer.normal
    apart = level[-1] >= -1e-13
    inside = ~flat & ~aligned & ~apart
    theta = np.where(apart & ~aligned, np.pi / 2, 0.0)
    piece = np.where(theta > 0, edges.size - 2, 0)
    piece[inside] = (level[:, inside] > 0).sum(0) - 1
    rows = np.take_along_axis(series, piece[:, None, None], 1)[:, 0]
    low, width = edges[piece], np.diff(edges)[piece]
    if inside.any():
        weight, normal, kept = (v[inside] for v in layer[:3])
        some = Layer(weight, normal, kept, layer.keep, layer.skip)
        theta[inside] = _root(rows[inside], low[inside], width[inside], some)
    x = 2 * (theta - low) / width - 1
    rho = _series(x, rows)
    rise = _series(x, chebyshev.chebder(rows, axis=1)) * 2 / width
    slope = (layer.skip**2 + layer.weight * (rho + np.tan(theta / 2) * rise)) / layer.normal
    return np.where(flat, np.nan, _deficit(theta)), np.where(flat, 1.0, slope)


def _root(rows: np.ndarray, low: np.ndarray, width: np.ndarray, layer: Layer) -> np.ndarray:
    """The angle in each piece at which the excess is 0, by Chandrupatla's method."""

    def excess(x: np.ndarray, low: Any, width: Any, *others: Any) -> np.ndarray:
        coefficients, (weight, normal, kept) = others[:-3], others[-3:]
        here = Layer(weight, normal, kept, layer.keep, layer.skip)
        rho = chebyshev.chebval(x, np.stack(coefficients), tensor=False)
        return here.excess(rho, low + width * (x + 1) / 2)

    ends = (-np.ones(low.size), np.ones(low.size))
    found = elementwise.find_root(excess, ends, args=(low, width, *rows.T, *layer[:3]))
    return low + width * (found.x + 1) / 2


def _series(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return chebyshev.chebval(x, rows.T, tensor=False)


def _deficit(theta: np.ndarray) -> np.ndarray:
    """1 - cos(theta), without cancellation."""
    return 2 * np.sin(theta / 2) ** 2
