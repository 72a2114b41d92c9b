"""Residual stacks whose branch has its own weights, with the mean that a ReLU-ended branch leaves.

    x' = skip x + scale V phi(W x + b)     closed: q' = skip^2 q + scale^2 sigma_v^2 E phi(h)^2
    x' = skip x + scale phi(W x + b)       open:   q' = skip^2 q + 2 skip scale mu E phi(h)
                                                        + scale^2 E phi(h)^2,
                                                   mu' = skip mu + scale E phi(h)

with h ~ N(0, sigma_w^2 q + sigma_b^2), q = E x^2 and mu = E x. Closed branches have mean zero, so
mu' = skip mu. Yang & Schoenholz (2017); the criterion on the sum of the scales is that of Hanin &
Rolnick (2018).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from varprop import activations
from varprop.activations import Activation
from varprop.activations.symbols import Number
from varprop.theory.arguments import check_mean, check_number, check_whole, has_symbols
from varprop.theory.meanfield.fixed_points import find_root


class Stream(NamedTuple):
    """The law of one entry of the residual stream: second moment q and mean mu."""

    q: Any
    mu: Any


@dataclass(frozen=True)
class ResidualStack:
    """A stack of residual blocks; see `residual_stack` for its arguments."""

    activation: Activation
    weight_variance: Any
    bias_variance: Any
    branch_variance: Any
    skip: Any
    scale: Any

    @property
    def closed(self) -> bool:
        """Whether branches end in weights V of their own."""
        return self.branch_variance is not None

    def step(self, stream: Stream) -> Stream:
        """One block, on numbers, arrays or symbols."""
        h = self.weight_variance * stream.q + self.bias_variance
        kept = self.scale**2 * self.activation.second_moment(h)
        if self.closed:
            kept = self.branch_variance * kept
            return Stream(self.skip**2 * stream.q + kept, self.skip * stream.mu)
        added = self.scale * self.activation.mean(h)
        cross = 2 * self.skip * stream.mu * added
        return Stream(self.skip**2 * stream.q + cross + kept, self.skip * stream.mu + added)

    def iterate(self, q0: Number, depth: int, mu0: Number = 0.0) -> Stream:
        """The stream after 0, 1, ..., depth blocks: arrays of shape (depth + 1, *shape of q0).

        Raises ValueError for a negative depth, q0 below 0, and mu0^2 above q0.
        """
        check_whole("depth", depth, 0, "it counts the blocks")
        _check_entries("q0", q0, "second moments are at least 0", least=0)
        _check_entries("mu0", mu0, "it is the mean of an entry")
        check_mean(mu0, q0)
        layers = [Stream(q0, mu0 + 0 * q0)]
        for _ in range(depth):
            layers.append(self.step(layers[-1]))
        return Stream(*(np.array(values) for values in zip(*layers, strict=True)))

    def chi_perp_at(self, q: Number) -> Number:
        """The factor of a gradient's second moment per block, where E x^2 = q > 0."""
        _check_entries("q", q, "it is E x^2", above=0)
        h = self.weight_variance * q + self.bias_variance
        slope = self.activation.derivative_second_moment(h)
        passed = self.scale**2 * self.weight_variance * slope
        return self.skip**2 + (self.branch_variance * passed if self.closed else passed)

    def growth(self) -> float:
        """The factor of q per block in the long run, for a homogeneous activation and no bias.

        With r = mu / sqrt(q), one block maps r to a new r; the factor is that at the fixed point.
        Raises ValueError otherwise, where there is no such factor, and for SymPy symbols.
        """
        numbers = (self.weight_variance, self.bias_variance, self.branch_variance)
        if any(map(has_symbols, (*numbers, self.skip, self.scale))):
            raise ValueError(
                f"the growth factor is a root in numbers, got the symbolic {self}; use step(Stream("
                "q, mu)) for formulas"
            )
        if not self.activation.homogeneous or self.bias_variance != 0:
            raise ValueError(
                f"only homogeneous activations without bias grow by a factor, got "
                f"{self.activation} with bias_variance = {self.bias_variance}; use iterate"
            )
        if self.closed:
            return float(self.step(Stream(1.0, 0.0)).q)

        def change(r: float) -> float:
            after = self.step(Stream(1.0, r))
            return float(after.mu / np.sqrt(after.q)) - r

        ends = sorted((0.0, float(np.sign(self.step(Stream(1.0, 0.0)).mu))))
        return float(self.step(Stream(1.0, find_root(change, *ends))).q)


def residual_stack(
    activation: str | Activation,
    *,
    weight_variance: Number,
    bias_variance: Number = 0.0,
    branch_variance: Number | None = None,
    skip: Number = 1,
    scale: Number = 1,
) -> ResidualStack:
    """Blocks x' = skip x + scale V phi(W x + b), or without V.

    weight_variance  fan_in Var(w) of W         branch_variance  fan_in Var(v) of V; None: no V
    bias_variance    Var(b)                     skip, scale      factors of shortcut and branch

    Raises ValueError for what is no finite number or SymPy expression, weight_variance <= 0, and
    other variances below 0.
    """
    phi = activations.get(activation)
    check_number("weight_variance", weight_variance, "it is fan_in Var(w)", above=0)
    check_number("bias_variance", bias_variance, "it is Var(b)", least=0)
    if branch_variance is not None:
        remedy = "it is fan_in Var(v), or None for a branch without V"
        check_number("branch_variance", branch_variance, remedy, least=0)
    check_number("skip", skip, "it is the factor of the shortcut")
    check_number("scale", scale, "it is the factor of the branch")
    return ResidualStack(phi, weight_variance, bias_variance, branch_variance, skip, scale)


def _check_entries(
    name: str, value: Any, remedy: str, *, least: float | None = None, above: float | None = None
) -> None:
    """`check_number` for each entry of an array, which may be a SymPy expression."""
    for entry in np.asarray(value, object).ravel():
        check_number(name, entry, remedy, least=least, above=above)
