"""Prediction: the quantities of every node of a network, each with its regime."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from varprop.activations import Activation
from varprop.gaussian import is_symbolic
from varprop.layers import Dense
from varprop.moments import CORRECTED, EXACT, WIDE, Gradients, Moments, Regime, correlation
from varprop.network import Network, unknown
from varprop.results import Result, Row
from varprop.theory.corrections import Corrections
from varprop.theory.finite_width import Absent, GradientLengths, GradientTerms, Lengths, Pairs
from varprop.theory.tangent_kernel import tangent_kernel

Entry = tuple[np.ndarray, Regime]

_FLUCTUATIONS = {  # each with the table of what is known of it
    "length_fluctuation": "lengths",
    "grad_length_fluctuation": "gradient_lengths",
}


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Result):
    """What theory says of each node: `value(node, quantity)`, `regime(node, quantity)`, `frame()`.

    Numbers for a numeric network, SymPy expressions for a symbolic one. Values of one input have
    shape (points,), those of pairs (points, points). `moments` and `gradients` are the folds of
    the rules, in the limit; with `order` 1 or None, `value` adds the 1/n term where it is known (to
    `second_moment`, `variance`, `cross_moment`, `correlation`, `grad_second_moment`), and the
    `kurtosis` of a pre-activation is that of the width, exact where lengths are. `lengths`,
    `pairs`, `gradient_lengths` and `gradient_terms` hold what is known of finite width at each
    node, or why nothing is; each is computed when it is first asked for. `correlation` is the ratio
    of the means; the mean over networks of each one's correlation differs from it by O(1/n).
    """

    network: Network
    moments: Mapping[str, Moments]
    gradients: Mapping[str, Gradients]
    inputs: np.ndarray | None = None
    order: int | None = 0

    @cached_property
    def _finite(self) -> Corrections:
        return Corrections(self.network, self.moments, self.gradients, self.inputs, self.order)

    @property
    def lengths(self) -> Mapping[str, Lengths | Absent]:
        """The fluctuation of the length of each node over networks, or why it has no theory."""
        return self._finite.lengths

    @property
    def pairs(self) -> Mapping[str, Pairs | Absent]:
        """The 1/n terms of two inputs at each node, or why they have no theory."""
        return self._finite.pairs

    @property
    def gradient_terms(self) -> Mapping[str, GradientTerms | Absent]:
        """The 1/n terms of |dL/dx|^2 at each node, or why they have no theory."""
        return self._finite.gradient_terms

    @property
    def gradient_lengths(self) -> Mapping[str, GradientLengths | GradientTerms | Absent]:
        """The fluctuation of |dL/dx|^2 of each node: exact where known, else to order 1/n."""
        return self._finite.gradient_lengths

    @property
    def points(self) -> int:
        """The number of inputs."""
        return self.moments[self.network.input].mean.shape[-1]

    @property
    def symbolic(self) -> bool:
        """Whether values are SymPy expressions."""
        return any(law.symbolic for law in self.moments.values())

    def value(self, node: str, quantity: str) -> Any:
        """The predicted array: (points,), or (points, points) for quantities of pairs."""
        return self._entry(node, quantity)[0]

    def regime(self, node: str, quantity: str) -> Regime:
        """How true the prediction is at that node."""
        return self._entry(node, quantity)[1]

    def quantities(self, node: str) -> tuple[str, ...]:
        """The names of the quantities predicted at the node."""
        name = self.network[node].name
        tables = _FLUCTUATIONS.items()
        known = [q for q, of in tables if not isinstance(getattr(self, of)[name], Absent)]
        return (*self._readers(name), *known)

    def notes(self) -> tuple[str, ...]:
        """The uncontrolled steps taken, each with its node; with `order` 1 what has no 1/n term."""
        laws = [(name, law.notes) for name, law in self.moments.items()]
        laws += [(name, gradient.notes) for name, gradient in self.gradients.items()]
        found = [f"{name}: {note}" for name, notes in laws for note in notes]
        return tuple(dict.fromkeys([*found, *self._finite.notes()]))

    def latex(self, node: str, quantity: str, point: int = 0, other: int | None = None) -> str:
        """The predicted expression as LaTeX; for quantities of pairs, that of (point, other).

        Raises ValueError for points that were not predicted, and for a pair where there is none.
        """
        value = self.value(node, quantity)
        index = (point,) if other is None else (point, other)
        inside = all(type(i) is int and 0 <= i < self.points for i in index)
        if not inside or len(index) != value.ndim:
            wanted = "point and other" if value.ndim == 2 else "point alone"
            raise ValueError(
                f"{quantity} of {node} takes {wanted}, from 0 to {self.points - 1}, "
                f"got point={point!r}, other={other!r}"
            )
        return sp.latex(sp.sympify(value[index]))

    def rows(self) -> Iterator[Row]:
        for name, _, _ in self.network:
            for quantity in self.quantities(name):
                value, regime = self._entry(name, quantity)
                for index in np.ndindex(value.shape):
                    point, other = index[0], index[1] if len(index) == 2 else None
                    if other is None or point < other or (point == other and quantity == "ntk"):
                        yield Row(name, quantity, point, other, value[index], str(regime))

    def __str__(self) -> str:
        out = self.network.output
        return (
            f"prediction for {self.network}, {self.points} input(s): "
            f"{out} second_moment {_short(self.value(out, 'second_moment')[0])}, "
            f"{self.network.input} grad_second_moment "
            f"{_short(self.value(self.network.input, 'grad_second_moment')[0])}"
        )

    def _entry(self, node: str, quantity: str) -> Entry:
        name = self.network[node].name
        if not isinstance(quantity, str):
            raise unknown(f"quantity of {node}", quantity, self.quantities(node))
        if quantity in _FLUCTUATIONS:
            known = getattr(self, _FLUCTUATIONS[quantity])[name]
            if isinstance(known, Absent):
                raise ValueError(f"{node} has no {quantity!r}. {known.reason}")
            return known.fluctuation, known.regime
        readers = self._readers(name)
        if quantity not in readers:
            raise unknown(f"quantity of {node}", quantity, self.quantities(node))
        return readers[quantity]()

    def _readers(self, node: str) -> dict[str, Callable[[], Entry]]:
        """How each quantity of the node is found; nothing is computed that is not asked for."""
        law, gradient = self.moments[node], self.gradients[node]
        finite, layer = self._finite, self.network[node].layer
        mean_too = max(law.mean_regime, law.second_regime)

        def variance() -> Entry:
            square, regime = finite.second(node)
            return square - law.mean**2, mean_too if np.any(law.mean) else regime

        def fourth() -> Entry:
            if (known := finite.kurtosis(node)) is not None:
                return known
            normal = WIDE if law.gaussian is None else law.gaussian
            return kurtosis(law), max(normal, mean_too)

        def weight_gradient() -> Entry:
            x = self.moments[self.network[node].inputs[0]]
            return gradient.diagonal * x.diagonal, max(gradient.regime, x.second_regime)

        def ratio() -> Entry:
            (cross, known), (_, regime) = finite.cross(node), finite.second(node)
            finest = EXACT if law.fixed else WIDE if self.order == 0 else CORRECTED
            return correlation(cross), max(known, regime, finest)

        readers: dict[str, Callable[[], Entry]] = {
            "mean": lambda: (law.mean, law.mean_regime),
            "second_moment": lambda: finite.second(node),
            "variance": variance,
            "grad_second_moment": lambda: finite.gradient(node),
        }
        if has_kurtosis(law):
            readers["kurtosis"] = fourth
        if node == self.network.output and not self.network.tied:
            readers["ntk"] = lambda: tangent_kernel(self.network, self.moments, self.gradients)
        if isinstance(layer, Dense) and node not in self.network.tied:
            readers["weight_grad_second_moment"] = weight_gradient
        if self.points > 1:
            readers["cross_moment"] = lambda: finite.cross(node)
            readers["correlation"] = ratio
            readers["grad_cross_moment"] = lambda: (gradient.second, gradient.cross_regime)
        return readers


def has_kurtosis(law: Moments) -> bool:
    """Whether the law is Gaussian, or a function of one whose fourth moment has a rule."""
    if law.gaussian is not None:
        return True
    return law.source is not None and not (law.symbolic and np.any(law.mean))


def kurtosis(law: Moments) -> np.ndarray:
    """E (x - E x)^4 / Var(x)^2 of a Gaussian value, or of a function of one; nan for a constant."""
    if law.gaussian is not None or law.source is None:
        return 0 * law.diagonal + 3
    phi, q = law.source.function, law.source.law.diagonal
    if law.symbolic:
        return phi.fourth_moment(q) / law.diagonal**2
    spread = np.sqrt(np.maximum(law.diagonal - law.mean**2, 0))
    if phi.homogeneous:  # the same at every q
        size = np.sqrt(np.where(q > 0, q, 1.0))
        points = zip(law.mean / size, spread / size, np.ones_like(q), strict=True)
    else:
        points = zip(law.mean, spread, q, strict=True)
    return np.array([_fourth(phi, *point) if point[1] > 0 else np.nan for point in points])


def _fourth(phi: Activation, mean: float, spread: float, q: float) -> float:
    """E ((phi(z) - mean) / spread)^4, in which no power leaves the range of floats."""
    return float(phi.moment(lambda _, value, __: ((value - mean) / spread) ** 4, q))


def _short(value: Any) -> str:
    return str(value) if is_symbolic(value) else f"{value:.6g}"
