"""One layer of a deep stack of wide layers, at any variance q.

    z^{l+1} = skip z^l + W (mask phi(z^l)) / keep + b,  Var W_ij = sigma_w^2/n, Var b_i = sigma_b^2

    q'  = skip^2 q + (sigma_w^2 / keep) E phi(z)^2 + sigma_b^2          z ~ N(0, q)
    chi_parallel = dq'/dq                  errors of the variance, per layer
    chi_perp = skip^2 + (sigma_w^2 / keep) E phi'(z)^2       gradient second moments, per layer

for networks so wide that z is Gaussian. The weight variance here is `fan_in Var(w)`.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from varprop import gaussian
from varprop.activations import Activation
from varprop.activations.pairs import variance_of
from varprop.activations.symbols import Number
from varprop.theory.arguments import check_numbers, check_whole, has_symbols
from varprop.theory.meanfield import limits

KEEP = "it is the probability that dropout keeps a unit"
LARGEST = 1e150  # of factors and starts: their squares are floats
SKIP = "it is the factor of the shortcut"
START = "it is the variance q_0"


@dataclass(frozen=True, repr=False)
class Stack:
    """Layers of one kind, on numbers or SymPy expressions."""

    activation: Activation
    weight_variance: Any
    bias_variance: Any
    keep: Any = 1
    skip: Any = 0

    @property
    def symbolic(self) -> bool:
        return gaussian.is_symbolic(self.weight_variance, self.bias_variance, self.keep, self.skip)

    def variance_map(self, q: Number) -> Number:
        """q' = skip^2 q + (sigma_w^2 / keep) E phi(z)^2 + sigma_b^2, z ~ N(0, q)."""
        q = q if gaussian.is_symbolic(q) else variance_of(q)
        passed = self.weight_variance / self.keep * self.activation.second_moment(q)
        return self.skip**2 * q + passed + self.bias_variance

    def chi_parallel_at(self, q: Number) -> Number:
        """dq'/dq at any q > 0."""
        slope = self.activation.second_moment_slope(q)
        return self.skip**2 + self.weight_variance / self.keep * slope

    def chi_perp_at(self, q: Number) -> Number:
        """The factor of a gradient's second moment per layer, at any q > 0."""
        self._refuse_jumps()
        slope = self.activation.derivative_second_moment(q)
        return self.skip**2 + self.weight_variance / self.keep * slope

    def iterate(self, q0: Number, depth: int) -> np.ndarray:
        """q_0, ..., q_depth: shape (depth + 1, *shape of q0); inf beyond the range of floats.

        Raises ValueError for a negative depth and for q0 below 0.
        """
        check_whole("depth", depth, 0, "it counts the layers")
        if self.symbolic or any(map(has_symbols, np.ravel(np.asarray(q0, object)))):
            layers = [q0]
            for _ in range(depth):
                layers.append(self.variance_map(layers[-1]))
            return np.array(layers)
        q = check_numbers("q0", q0, "it is the variance of the first layer", least=0)
        found = np.full((depth + 1, q.size), np.inf)
        found[0] = q.ravel()
        for before, after in pairwise(found):
            finite = np.isfinite(before)
            with np.errstate(over="ignore"):
                after[finite] = self.variance_map(before[finite])
        return found.reshape(depth + 1, *q.shape)

    def _refuse_jumps(self) -> None:
        remedy = "use fixed_point, chi_parallel and the correlation map"
        limits.refuse_jumps(self.activation, "chi_perp", remedy)

    def _growth(self, kept: Any) -> Any:
        """skip^2 + (sigma_w^2 / keep) kept, kept a number or the ends of a homogeneous limit."""
        kept = kept.gain if isinstance(kept, limits.Ends) else kept
        return self.skip**2 + self.weight_variance / self.keep * kept
