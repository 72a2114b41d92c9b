"""predict: the quantities of every node of a network, each with its regime."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from varprop.gaussian import is_symbolic
from varprop.layers import Dense
from varprop.moments import APPROXIMATE, CORRECTED, EXACT, WIDE, Gradients, Moments, Regime
from varprop.network import ByNode, Network, check_network, unknown
from varprop.results import Result, Row
from varprop.theory.finite_width import (
    Absent,
    GradientLengths,
    GradientTerms,
    Lengths,
    Pairs,
    gradient_lengths,
    gradient_terms,
    lengths,
    pairs,
)
from varprop.theory.fold import backward, forward
from varprop.theory.tangent_kernel import tangent_kernel

_BROKEN_NOTE = "the 1/n terms are above half of the leading ones: too deep for this width"
_FLUCTUATIONS = {  # each with the table, made when asked for, of what is known of it
    "length_fluctuation": "lengths",
    "grad_length_fluctuation": "gradient_lengths",
}
BROKEN = 0.5  # a 1/n term, of the mean or of its fluctuation, above this part corrects nothing


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Result):
    """What theory says of each node: `value(node, quantity)`, `regime(node, quantity)`, `frame()`.

    Numbers for a numeric network, SymPy expressions for a symbolic one. Values of one input have
    shape (points,), those of pairs (points, points). `moments` and `gradients` are the folds of
    the rules, in the limit; with `order` 1 or None, `value` adds the 1/n term where it is known (to
    `second_moment`, `variance`, `cross_moment`, `correlation`, `grad_second_moment`). `lengths`,
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
    def lengths(self) -> Mapping[str, Lengths | Absent]:
        """The fluctuation of the length of each node over networks, or why it has no theory."""
        return ByNode(lengths(self.network, self.moments, self.inputs))

    @cached_property
    def pairs(self) -> Mapping[str, Pairs | Absent]:
        """The 1/n terms of two inputs at each node, or why they have no theory."""
        return ByNode(pairs(self.network, self.moments))

    @cached_property
    def gradient_terms(self) -> Mapping[str, GradientTerms | Absent]:
        """The 1/n terms of |dL/dx|^2 at each node, or why they have no theory."""
        return gradient_terms(self.network, self.moments, self.gradients, self.lengths)

    @cached_property
    def gradient_lengths(self) -> Mapping[str, GradientLengths | GradientTerms | Absent]:
        """The fluctuation of |dL/dx|^2 of each node over networks, or why it has no theory.

        Exact where that is known, else to the first order in 1/n.
        """
        found: dict[str, Any] = ByNode(gradient_lengths(self.network, self.moments))
        for name, known in found.items():
            if isinstance(known, Absent):
                terms = self.gradient_terms[name]
                both = f"{known.reason}; to the first order in 1/n: "
                found[name] = Absent(both + terms.reason) if isinstance(terms, Absent) else terms
        return found

    @property
    def points(self) -> int:
        return self.moments[self.network.input].mean.shape[-1]

    @property
    def symbolic(self) -> bool:
        return any(law.symbolic for law in self.moments.values())

    def value(self, node: str, quantity: str) -> Any:
        """The predicted array: (points,), or (points, points) for quantities of pairs."""
        return self._entry(node, quantity)[0]

    def regime(self, node: str, quantity: str) -> Regime:
        """How true the prediction is at that node."""
        return self._entry(node, quantity)[1]

    def quantities(self, node: str) -> tuple[str, ...]:
        """The names of the quantities predicted at the node."""
        return tuple(self._all_entries(node))

    def notes(self) -> tuple[str, ...]:
        """The uncontrolled steps taken, each with its node; with `order` 1 what has no 1/n term."""
        laws = [(name, law.notes) for name, law in self.moments.items()]
        laws += [(name, gradient.notes) for name, gradient in self.gradients.items()]
        laws += [(name, (_BROKEN_NOTE,)) for name, _, _ in self.network if self._broken(name)]
        found = [f"{name}: {note}" for name, notes in laws for note in notes]
        if self.order == 1:
            found += [f"order 1 adds nothing to {what}: {why}" for what, why in self._refused()]
        return tuple(dict.fromkeys(found))

    def _refused(self) -> Iterator[tuple[str, str]]:
        """The quantities in the limit of which `order` 1 was asked for, and why they stay."""
        for name, _, _ in self.network:
            law, gradient = self.moments[name], self.gradients[name]
            wide = {
                "second_moment": (law.second_regime, "lengths"),
                "grad_second_moment": (gradient.regime, "gradient_terms"),
            }
            if self.points > 1:
                wide["cross_moment"] = (law.cross_regime, "pairs")
            for quantity, (regime, table) in wide.items():
                if regime == WIDE and isinstance(known := getattr(self, table)[name], Absent):
                    yield quantity, known.reason

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
            for quantity, (value, regime) in self._all_entries(name).items():
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

    def _entry(self, node: str, quantity: str) -> tuple[np.ndarray, Regime]:
        _ = self.network[node]
        if quantity in _FLUCTUATIONS:
            known = getattr(self, _FLUCTUATIONS[quantity])[node]
            if isinstance(known, Absent):
                raise ValueError(f"{node} has no {quantity!r}. {known.reason}")
            return known.fluctuation, known.regime
        entries = self._entries(node)
        if quantity not in entries:
            raise unknown(f"quantity of {node}", quantity, self.quantities(node))
        return entries[quantity]

    def _all_entries(self, node: str) -> dict[str, tuple[np.ndarray, Regime]]:
        entries = self._entries(node)
        for quantity, table in _FLUCTUATIONS.items():
            if not isinstance(known := getattr(self, table)[node], Absent):
                entries[quantity] = (known.fluctuation, known.regime)
        return entries

    def _entries(self, node: str) -> dict[str, tuple[np.ndarray, Regime]]:
        _ = self.network[node]
        law, gradient = self.moments[node], self.gradients[node]
        mean_too = max(law.mean_regime, law.second_regime)
        square, regime = self._second(node)
        entries = {
            "mean": (law.mean, law.mean_regime),
            "second_moment": (square, regime),
            "variance": (square - law.mean**2, mean_too if np.any(law.mean) else regime),
            "grad_second_moment": self._gradient(node),
        }
        if (fourth := kurtosis(law)) is not None:
            entries["kurtosis"] = (
                fourth,
                max(Regime.WIDE if law.gaussian is None else law.gaussian, mean_too),
            )
        if node == self.network.output and not self.network.tied:
            entries["ntk"] = tangent_kernel(self.network, self.moments, self.gradients)
        layer = self.network[node].layer
        if isinstance(layer, Dense) and node not in self.network.tied:
            x = self.moments[self.network[node].inputs[0]]
            entries["weight_grad_second_moment"] = (
                gradient.diagonal * x.diagonal,
                max(gradient.regime, x.second_regime),
            )
        if self.points > 1:
            cross, known = self._cross(node)
            entries["cross_moment"] = (cross, known)
            finest = EXACT if law.fixed else WIDE if self.order == 0 else CORRECTED
            entries["correlation"] = (correlation(cross), max(known, regime, finest))
            entries["grad_cross_moment"] = (gradient.second, gradient.cross_regime)
        return entries

    def _second(self, node: str) -> tuple[np.ndarray, Regime]:
        """E x^2, with its 1/n term where it is asked for, needed and known."""
        law = self.moments[node]
        square = law.diagonal
        if (known := self._terms("lengths", node, law.second_regime)) is None:
            return square, law.second_regime
        return self._corrected(square, known.shift * square, self._broken(node))

    def _cross(self, node: str) -> tuple[np.ndarray, Regime]:
        """E x x' in the same way, with E x^2 on its diagonal."""
        law = self.moments[node]
        if (known := self._terms("pairs", node, law.cross_regime)) is None:
            return law.second, law.cross_regime
        change, (square, _) = known.cross_shift(self.points), self._second(node)
        sizes = np.sqrt(law.diagonal[:, None] * law.diagonal[None, :])
        broken = self._broken(node) or bool(np.any(np.abs(change) > BROKEN * sizes))
        cross, regime = self._corrected(law.second, change, broken)
        return np.where(np.eye(self.points, dtype=bool), np.diag(square), cross), regime

    def _gradient(self, node: str) -> tuple[np.ndarray, Regime]:
        """E g^2 in the same way."""
        gradient = self.gradients[node]
        square = gradient.diagonal
        if (known := self._terms("gradient_terms", node, gradient.regime)) is None:
            return square, gradient.regime
        return self._corrected(square, known.shift * square, _too_large(known))

    def _terms(self, table: str, node: str, regime: Regime) -> Any:
        """The 1/n terms of a number of that regime in the limit; None if unasked or unknown."""
        if self.order == 0 or regime != WIDE:
            return None
        known = getattr(self, table)[node]
        return None if isinstance(known, Absent) else known

    def _corrected(
        self, limit: np.ndarray, change: np.ndarray, broken: bool
    ) -> tuple[np.ndarray, Regime]:
        """The limit with its 1/n term, which by default is left where it corrects nothing."""
        if broken and self.order is None:
            return limit, WIDE
        return limit + change, APPROXIMATE if broken else CORRECTED

    def _broken(self, node: str) -> bool:
        """Whether the 1/n terms of lengths are so large that they correct nothing."""
        if self.order == 0 or self.moments[node].second_regime != WIDE or self.symbolic:
            return False
        known = self.lengths[node]
        return isinstance(known, Lengths) and _too_large(known)


def _too_large(known: Lengths | GradientTerms) -> bool:
    return bool(np.any(np.maximum(np.abs(known.shift), known.fluctuation) > BROKEN))


def predict(network: Network, inputs: Any = None, *, order: int | None = 0) -> Prediction:
    """The theory of a network for `inputs`.

    `inputs`: real data of shape (points, channels) (NumPy or torch); None for one input with
    x.x/n = 1; a SymPy expression for one input with that x.x/n; or a `Moments`.

    `order` 0 is the limit of infinite width (exact where the regime says so). 1 adds the 1/n term,
    which is `corrected`, where it is known: second moments, products of two inputs and second
    moments of gradients in chains of dense layers with Gaussian weights; `notes()` names the
    assumption that fails elsewhere, and says where a network is so deep and narrow that the terms
    correct nothing. None is the best there is: the 1/n term where it is known and small, else the
    limit. The limit is the default, since it is what papers state and the 1/n term of two inputs
    costs ten two-dimensional integrals for each pair and layer.

    Raises ValueError for inputs that do not fit, and for layers without a rule.
    """
    check_network(network)
    if isinstance(order, bool) or order not in (0, 1, None):
        raise ValueError(
            "order must be 0 (the limit), 1 (with the 1/n term) or None (the best there is), "
            f"got {order!r}"
        )
    start = input_law(network, inputs)
    laws = ByNode(forward(network, {network.input: start}))
    data = None
    if inputs is not None and not isinstance(inputs, Moments) and not _one_symbol(inputs):
        data = network.check_inputs(inputs)
    return Prediction(network, laws, ByNode(backward(network, laws)), data, order)


def input_law(network: Network, inputs: Any) -> Moments:
    """The law of the input node."""
    if isinstance(inputs, Moments):
        return inputs
    if inputs is None:
        return Moments.unit(second=sp.Integer(1) if network.symbolic else 1.0)
    if _one_symbol(inputs):
        if inputs.is_negative:
            raise ValueError(f"x.x/n cannot be negative, got {inputs}; declare it positive")
        return Moments.unit(second=inputs)
    return Moments.of_data(network.check_inputs(inputs))


def _one_symbol(inputs: Any) -> bool:
    return is_symbolic(inputs) and not isinstance(inputs, np.ndarray)


def kurtosis(law: Moments) -> np.ndarray | None:
    """E (x - E x)^4 / Var(x)^2 of a Gaussian value, or of a function of one; None for others."""
    if law.gaussian is not None:
        return 0 * law.diagonal + 3
    if law.source is None:
        return None
    phi, q, mean = law.source.function, law.source.law.diagonal, law.mean
    if law.symbolic:
        return None if np.any(mean) else phi.fourth_moment(q) / law.diagonal**2
    if not np.any(mean):
        central = phi.fourth_moment(q)
    else:
        pairs = zip(mean, q, strict=True)
        central = np.array([phi.moment(lambda _, v, __, m=m: (v - m) ** 4, s) for m, s in pairs])
    with np.errstate(invalid="ignore", divide="ignore"):  # nan for a value that is constant
        variance = law.diagonal - mean**2
        return central / variance / variance


def correlation(second: np.ndarray) -> np.ndarray:
    """E x x' / sqrt(E x^2 E x'^2)."""
    square = np.diagonal(second, axis1=-2, axis2=-1)
    if is_symbolic(second):
        root = np.frompyfunc(sp.sqrt, 1, 1)(square[..., :, None] * square[..., None, :])
        return second / root
    root = np.sqrt(square)
    with np.errstate(invalid="ignore", divide="ignore"):
        return second / root[..., :, None] / root[..., None, :]


def _short(value: Any) -> str:
    return str(value) if is_symbolic(value) else f"{value:.6g}"
