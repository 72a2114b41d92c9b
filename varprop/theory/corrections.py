"""What a finite width adds to a prediction: 1/n terms, and fluctuations over networks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from varprop.moments import APPROXIMATE, CORRECTED, EXACT, WIDE, Gradients, Moments, Regime
from varprop.network import ByNode, Network
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

BROKEN = 0.5  # a 1/n term, of the mean or of its fluctuation, above this part corrects nothing
BROKEN_NOTE = "the 1/n terms are above half of the leading ones: too deep for this width"


@dataclass(frozen=True, eq=False)
class Corrections:
    """E x^2, E x x' and E g^2 of each node with their 1/n terms, where `order` asks for them.

    `lengths`, `pairs`, `gradient_lengths` and `gradient_terms` hold what is known of finite width
    at each node, or why nothing is; each is computed when it is first asked for.
    """

    network: Network
    moments: Mapping[str, Moments]
    gradients: Mapping[str, Gradients]
    inputs: np.ndarray | None
    order: int | None

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
        return ByNode(gradient_terms(self.network, self.moments, self.gradients, self.lengths))

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

    def second(self, node: str) -> tuple[np.ndarray, Regime]:
        """E x^2."""
        law = self.moments[node]
        square = law.diagonal
        if (known := self._terms("lengths", node, law.second_regime)) is None:
            return square, law.second_regime
        return self._corrected(square, known.shift * square, self._broken(node))

    def cross(self, node: str) -> tuple[np.ndarray, Regime]:
        """E x x', with E x^2 on its diagonal."""
        law = self.moments[node]
        if (known := self._terms("pairs", node, law.cross_regime)) is None:
            return law.second, law.cross_regime
        points = law.second.shape[-1]
        change, (square, _) = known.cross_shift(points), self.second(node)
        sizes = np.sqrt(law.diagonal[:, None] * law.diagonal[None, :])
        broken = self._broken(node) or bool(np.any(np.abs(change) > BROKEN * sizes))
        cross, regime = self._corrected(law.second, change, broken)
        return np.where(np.eye(points, dtype=bool), np.diag(square), cross), regime

    def gradient(self, node: str) -> tuple[np.ndarray, Regime]:
        """E g^2."""
        gradient = self.gradients[node]
        square = gradient.diagonal
        if (known := self._terms("gradient_terms", node, gradient.regime)) is None:
            return square, gradient.regime
        return self._corrected(square, known.shift * square, _too_large(known))

    def kurtosis(self, node: str) -> tuple[np.ndarray, Regime] | None:
        """E x^4 / (E x^2)^2 of W x + b over networks; None if unasked, unknown or that of a limit.

        Given the layer below a Gaussian neuron is normal, of a variance that fluctuates with the
        length of that layer.
        """
        if self.order == 0 or self.moments[node].gaussian is EXACT:
            return None
        known = self.lengths[node]
        if isinstance(known, Absent) or known.kurtosis is None:
            return None
        if known.regime is EXACT:
            return known.kurtosis, EXACT
        if (broken := self._broken(node)) and self.order is None:
            return None
        return known.kurtosis, APPROXIMATE if broken else CORRECTED

    def notes(self) -> Iterator[str]:
        """Where the 1/n terms correct nothing, and with `order` 1 what has none, and why."""
        for name, _, _ in self.network:
            if self._broken(name):
                yield f"{name}: {BROKEN_NOTE}"
        if self.order == 1:
            for quantity, reason in self._refused():
                yield f"order 1 adds nothing to {quantity}: {reason}"

    def _refused(self) -> Iterator[tuple[str, str]]:
        for name, _, _ in self.network:
            law, gradient = self.moments[name], self.gradients[name]
            wide = {
                "second_moment": (law.second_regime, "lengths"),
                "grad_second_moment": (gradient.regime, "gradient_terms"),
            }
            if law.second.shape[-1] > 1:
                wide["cross_moment"] = (law.cross_regime, "pairs")
            for quantity, (regime, table) in wide.items():
                if regime == WIDE and isinstance(known := getattr(self, table)[name], Absent):
                    yield quantity, known.reason

    def _terms(self, table: str, node: str, regime: Regime) -> Any:
        """The 1/n terms of a number of that regime in the limit; None if unasked or unknown."""
        if self.order == 0 or regime != WIDE:
            return None
        known = getattr(self, table)[node]
        return None if isinstance(known, Absent) else known

    def _corrected(
        self, limit: np.ndarray, change: np.ndarray, broken: bool
    ) -> tuple[np.ndarray, Regime]:
        """The limit with its 1/n term; with `order` None without one that corrects nothing."""
        if broken and self.order is None:
            return limit, WIDE
        return limit + change, APPROXIMATE if broken else CORRECTED

    def _broken(self, node: str) -> bool:
        """Whether the 1/n terms of lengths are so large that they correct nothing."""
        law = self.moments[node]
        if self.order == 0 or law.second_regime != WIDE or law.symbolic:
            return False
        known = self.lengths[node]
        return isinstance(known, Lengths) and _too_large(known)


def _too_large(known: Lengths | GradientTerms) -> bool:
    return bool(np.any(np.maximum(np.abs(known.shift), known.fluctuation) > BROKEN))
