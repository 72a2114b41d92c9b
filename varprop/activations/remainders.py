"""What a function is beside its asymptotes, at the nodes of panels that are the same for all q."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from varprop.activations.lines import Lines
from varprop.gaussian import Estimate
from varprop.gaussian.rules import INSET, lobatto, null_rules

ORDER, NULLS = 24, 4  # nodes per panel, coefficients of it that must all be small
SAFETY = 8.0  # on those: a ridge that is too narrow for one variable is so for the other
HALVINGS = 6  # panels from the reach down to the origin
FAR = 2.0 ** np.arange(-10.0, 61.0, 0.25)  # |z| at which f is compared with a line
LEAST = 2.0**8  # |z| up to which f must be a finite number
TINY = 1e-18  # of the largest |f - a z|: what is no remainder
RESOLVED = 1e-8  # of the integral of |r|: the error of the panels
EPS = 4e-16
FEWEST = 1 / 8  # of a panel: the narrowest Gaussian
UNIT = np.array([-13.0, -8.5, -5.5, -3.0, -1.0, 0.0, 1.0, 3.0, 5.5, 8.5, 13.0])
NARROW = 0.25  # the least sine of a pair of which one has panels at UNIT


class Split(NamedTuple):
    """Lines, and the remainder r at nodes (..., N) of panels, with their half widths."""

    lines: Lines
    nodes: np.ndarray
    measure: np.ndarray
    rest: np.ndarray

    @property
    def reach(self) -> Any:
        return np.max(np.abs(self.nodes), axis=-1)

    @property
    def most(self) -> Any:
        return np.max(np.abs(self.rest), axis=-1)

    @property
    def weights(self) -> np.ndarray:
        return self.measure * np.tile(lobatto(ORDER)[1], self.nodes.shape[-1] // ORDER)

    @property
    def mass(self) -> Any:
        """The integral of |r|."""
        return (self.weights * np.abs(self.rest)).sum(-1)

    @property
    def width(self) -> Any:
        """Of a panel, on the average over |r|."""
        spread = (self.weights * 2 * self.measure * np.abs(self.rest)).sum(-1)
        return spread / (self.mass or 1.0)

    def at(self, rows: np.ndarray) -> "Split":
        """The nodes of some rows, where each has its own."""
        if self.nodes.ndim == 1:
            return self
        return Split(self.lines, self.nodes[rows], self.measure[rows], self.rest[rows])


def integral(split: Split, factor: np.ndarray) -> Estimate:
    """The integral of r(z) factor(z) from values (..., N) of the factor."""
    values = split.rest * split.measure * factor
    values = values.reshape(*values.shape[:-1], -1, ORDER)
    weight = lobatto(ORDER)[1]
    error = SAFETY * np.abs(values @ null_rules(ORDER, NULLS)).max(-1).sum(-1)
    return Estimate((values @ weight).sum(-1), error, (np.abs(values) @ weight).sum(-1))


def split_of(f: Any) -> Split | None:
    """The asymptotes and the remainder of an integrand; None where it has no asymptotes."""
    return _split(f._replace(label=""))


@cache
def _split(f: Any) -> Split | None:
    with np.errstate(all="ignore"):
        right, left = (_line(f, side, f.kinks) for side in (1.0, -1.0))
    if right is None or left is None:
        return None
    (up, high, far), (down, low, near) = right, left
    lines = Lines((up - down) / 2, (high + low) / 2, high - low, up + down)
    halvings = 0.5 ** np.arange(HALVINGS)
    inner = [kink for kink in f.kinks if -near < kink < far]
    edges = np.unique(np.concatenate([far * halvings, -near * halvings, inner, [0.0]]))
    nodes, measure = _panels(edges)
    rest = f(nodes) - lines(nodes)
    rest = np.where(np.abs(rest) <= EPS * lines.largest(np.abs(nodes)), 0.0, rest)
    split = Split(lines, nodes, measure, rest)
    error = integral(split, np.ones(nodes.size)).error
    return split if error <= RESOLVED * split.mass else None


def narrow(f: Any, s: np.ndarray) -> Split:
    """All of f as a remainder, on panels for Gaussians of deviations s."""
    places = np.broadcast_to(np.array([*f.kinks, 0.0]), (s.size, len(f.kinks) + 1))
    reach = UNIT[-1] * s[:, None]
    edges = np.concatenate([UNIT * s[:, None], np.clip(places, -reach, reach)], -1)
    nodes, measure = _panels(np.sort(edges, -1))
    return Split(Lines(0.0, 0.0, 0.0, 0.0), nodes, measure, f(nodes))


def _panels(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes between the edges (..., P + 1), and half widths, both of shape (..., P ORDER)."""
    node = lobatto(ORDER)[0]
    inset = node * (1 - INSET * (np.abs(node) == 1))
    half, middle = np.diff(edges)[..., None] / 2, (edges[..., 1:] + edges[..., :-1])[..., None] / 2
    nodes = middle + half * inset
    shape = (*edges.shape[:-1], -1)
    return nodes.reshape(shape), np.broadcast_to(half, nodes.shape).reshape(shape)


def _line(f: Any, side: float, kinks: tuple[float, ...]) -> tuple[float, float, float] | None:
    """The line a |z| + b that f(z) is beyond its reach on one side, as (a, b, reach), or None."""
    values = f(side * FAR)
    count = int(np.argmin(np.isfinite([*values, np.nan])))
    z, values = FAR[:count], values[:count]
    if not count or z[-1] < LEAST:
        return None
    slope = float((values[-1] - values[-5]) / (z[-1] - z[-5]))  # powers of two: exact
    bare = values - slope * z
    noise = EPS * (abs(slope) * z + np.abs(values)) + TINY * np.abs(bare[z <= LEAST]).max()
    moves = np.triu(np.abs(bare[:, None] - bare) > noise).any(-1)
    first = int(np.max(np.flatnonzero(moves), initial=-1)) + 1
    reach = max(float(z[min(first, count - 1)]), *(side * kink for kink in kinks), 0.0)
    return (slope, float(bare[np.argmax(z >= reach)]), reach) if 4 * reach <= z[-1] else None
