"""The state that theory carries through a network: moments forward, gradients backward.

A site is a (point, position) of the input batch; channels are exchangeable. With x, x' the values
of one channel at sites s, s' (arrays may have leading axes, for many cases at once):

    mean    (..., S)      E x
    second  (..., S, S)   E x x'
    gap     (..., S, S)   E (x - x')^2 / 2, carried because 1 - c must never be subtracted

Entries are floats, or SymPy expressions in object arrays. Two values that depend on different
fresh zero-mean weights have cross moment E x E y; two functions of one Gaussian source are one
joint function of it; anything else is `approximate`, and a note names the step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import sympy as sp

from varprop.gaussian import is_symbolic


class Regime(IntEnum):
    """How true a predicted number is at width n, from best to worst.

    exact         at any width
    corrected     with the 1/n term: error O(1/n^2)
    wide          the leading order: error O(1/n)
    approximate   an uncontrolled step, named in a note
    """

    EXACT = 0
    CORRECTED = 1
    WIDE = 2
    APPROXIMATE = 3

    def __str__(self) -> str:
        return self.name.lower()


EXACT, CORRECTED, WIDE, APPROXIMATE = Regime


@dataclass(frozen=True)
class Source:
    """A value as phi(z) of a Gaussian law z: the pair (phi, z)."""

    function: Any  # an Activation
    law: "Moments"


@dataclass(frozen=True)
class Moments:
    """The law of one channel over sites.

    `mean_regime`, `second_regime`, `cross_regime` (off the diagonal) say how true each field is.
    `gaussian`: how true joint normality over sites is (None: not normal). `symmetric`: x and -x
    have the same law. `atomless`: how true P(x = 0) = 0 is, which a kink at zero needs. `fixed`:
    the Gram matrix is the same in every network (true of data). `sources`: the nodes with fresh
    weights on which this value depends coordinatewise; `ancestors`: all nodes whose weights it
    depends on. `source`: the value as one function of one Gaussian law, where it is one.
    """

    mean: np.ndarray
    second: np.ndarray
    gap: np.ndarray
    mean_regime: Regime = EXACT
    second_regime: Regime = EXACT
    cross_regime: Regime = EXACT
    gaussian: Regime | None = None
    symmetric: bool = False
    fixed: bool = False
    atomless: Regime = APPROXIMATE
    sources: frozenset[str] = frozenset()
    ancestors: frozenset[str] = frozenset()
    source: Source | None = None
    notes: tuple[str, ...] = ()

    @staticmethod
    def of_gram(mean: np.ndarray, second: np.ndarray, sources: frozenset[str]) -> "Moments":
        """Fixed values known by their channel means and Gram matrix x.x'/n."""
        return Moments(mean, second, gap_of(second), fixed=True, sources=sources)

    @staticmethod
    def of_data(x: np.ndarray, source: str = "input") -> "Moments":
        """Real inputs x of shape (points, n): mean and Gram matrix over channels, both exact."""
        n = x.shape[-1]
        difference = x[:, None, :] - x[None, :, :]
        gap = np.einsum("pqn,pqn->pq", difference, difference) / (2 * n)
        sources = frozenset({source})
        return Moments(x.mean(-1), x @ x.T / n, gap, fixed=True, sources=sources)

    @staticmethod
    def unit(source: str = "input", second: Any = 1.0) -> "Moments":
        """One input uniform on the sphere of radius sqrt(n second): x.x/n = second in each draw."""
        kind = object if is_symbolic(second) else float
        square, zero = np.full((1, 1), second, kind), np.zeros((1, 1), kind)
        sources = frozenset({source})
        return Moments(
            zero[0], square, zero, symmetric=True, fixed=True, atomless=EXACT, sources=sources
        )

    @property
    def diagonal(self) -> np.ndarray:
        """E x^2 by site, shape (..., S)."""
        return np.diagonal(self.second, axis1=-2, axis2=-1)

    @property
    def symbolic(self) -> bool:
        """Whether the entries are SymPy expressions."""
        return is_symbolic(self.second)

    def noted(self, note: str) -> "Moments":
        """The same numbers, marked `approximate` because of the step that `note` names."""
        regimes = dict.fromkeys(("mean_regime", "second_regime", "cross_regime"), APPROXIMATE)
        return replace(self, **regimes, notes=merge_notes(self.notes, (note,)))

    def mixed(self, weights: np.ndarray, products: np.ndarray | None = None) -> "Moments":
        """Linear mixing over sites, y_a = sum_s A_as x_s, the same in every channel.

        `weights` (T, S) is E A; `products` (T, S, T, S) is E A_as A_bt for random A that is
        independent of x (attention), by default A A of a fixed A (pooling).
        """
        mean = self.mean @ weights.T
        sums, squares = weights.sum(-1), self.diagonal
        if products is not None:
            second = np.tensordot(self.second, products, axes=([-2, -1], [1, 3]))
            mixture = replace(self._as_mixture(), gaussian=None, fixed=False)
            return replace(mixture, mean=mean, second=second, gap=gap_of(second))
        second = weights @ self.second @ weights.T
        # d = A_a - A_b;  d' S d = (sum d)(d . diag S) - d' gap d, free of cancellation for averages
        d = weights[:, None, :] - weights[None, :, :]
        spread = (sums[:, None] - sums[None, :]) * np.tensordot(squares, d, axes=([-1], [-1]))
        pairs = d[..., :, None] * d[..., None, :]
        gap = (spread - np.tensordot(self.gap, pairs, axes=([-2, -1], [2, 3]))) / 2
        return replace(self._as_mixture(), mean=mean, second=second, gap=gap)

    def _as_mixture(self) -> "Moments":
        worst = max(self.second_regime, self.cross_regime)
        return replace(self, second_regime=worst, cross_regime=worst, source=None)


@dataclass(frozen=True)
class Gradients:
    """The law of the gradient g = dL/dx of one channel over sites, for unit output cotangents.

    `second` (..., S, S) is E g g'; `regime` belongs to its diagonal, `cross_regime` to the rest.
    `paths` names the places where the gradient was made fresh (the output, and each dense layer
    that it came down through); gradients of different paths are uncorrelated. `base` and `factor`:
    g = factor(z) g_base for a coordinatewise factor, where g has this form.
    """

    second: np.ndarray
    regime: Regime = EXACT
    cross_regime: Regime = EXACT
    paths: frozenset[str] = frozenset()
    base: np.ndarray | None = None
    factor: Source | None = None
    notes: tuple[str, ...] = ()

    @property
    def diagonal(self) -> np.ndarray:
        """E g^2 by site, shape (..., S)."""
        return np.diagonal(self.second, axis1=-2, axis2=-1)

    def noted(self, note: str) -> "Gradients":
        """The same numbers, marked `approximate` because of the step that `note` names."""
        notes = merge_notes(self.notes, (note,))
        return replace(self, regime=APPROXIMATE, cross_regime=APPROXIMATE, notes=notes)


@dataclass(frozen=True)
class Tangents:
    """The law of a forward tangent t = J t_0, for isotropic t_0 independent of the network.

        mean (..., S) E t,  second (..., S, S) E t t',  cross (..., S, S) E x t'

    t_0 is the same at all sites, so that this is the mirror of `Gradients`: u.(J t) = (J'u).t, and
    the rules use E phi' phi' alike. `base` is the tangent of the Gaussian source, where x is a
    function of one; `cross` is None where it is left to those two (`layers.tangents.cross_of`).
    """

    mean: np.ndarray
    second: np.ndarray
    cross: np.ndarray | None
    base: "Tangents | None" = None

    @property
    def diagonal(self) -> np.ndarray:
        """E t^2 by site, shape (..., S)."""
        return np.diagonal(self.second, axis1=-2, axis2=-1)


def gap_of(second: np.ndarray) -> np.ndarray:
    """E (x - x')^2 / 2 from E x x'."""
    diagonal = np.diagonal(second, axis1=-2, axis2=-1)
    gap = (diagonal[..., :, None] + diagonal[..., None, :]) / 2 - second
    return gap if is_symbolic(second) else np.maximum(gap, 0.0)


def merge_notes(*notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for group in notes for note in group))


NOTATION: Mapping[str, str] = {
    "mean": "E x",
    "second_moment": "E x^2, not centred",
    "variance": "E x^2 - (E x)^2",
    "cross_moment": "E x x' for two inputs",
    "correlation": "E x x' / sqrt(E x^2 E x'^2)",
    "grad_second_moment": "E (dL/dx)^2 for output cotangents with E u u' = I",
    "grad_cross_moment": "E (dL/dx)(dL/dx') for two inputs and the same cotangent",
    "kurtosis": "E (x - E x)^4 / Var(x)^2",
    "length_fluctuation": "Var(x.x/n) / (E x.x/n)^2 over networks, n channels",
    "grad_length_fluctuation": "Var(g.g/n) / (E g.g/n)^2 over networks, g = dL/dx, cotangents +-1",
    "ntk": "parameter-gradient products of the output, per output channel, rate one for each",
    "weight_grad_second_moment": "E (dL/dW)^2 per entry, one input",
}
"""The quantities that are predicted and measured, with their definitions."""


def correlation(second: np.ndarray) -> np.ndarray:
    """E x x' / sqrt(E x^2 E x'^2)."""
    square = np.diagonal(second, axis1=-2, axis2=-1)
    if is_symbolic(second):
        root = np.frompyfunc(sp.sqrt, 1, 1)(square[..., :, None] * square[..., None, :])
        return second / root
    root = np.sqrt(square)  # a product of squares may leave the range of floats
    with np.errstate(invalid="ignore", divide="ignore"):
        return second / root[..., :, None] / root[..., None, :]
