"""Mistakes in what `verify` does not judge: CONFIRMED in spite of them, until it does."""

from dataclasses import dataclass, replace
from math import nan

from benchmarks.mutants.forward import net
from benchmarks.mutants.mutant import THEORY, Mutant, rule
from varprop.layers import Elementwise
from varprop.moments import Gradients, Moments


@dataclass(frozen=True)
class OneSlope(Elementwise):
    """E phi'(z)^2 for E phi'(z) phi'(z')."""

    def gradients(
        self, name: str, inputs: tuple[Moments, ...], gradient: Gradients
    ) -> tuple[Gradients, ...]:
        (below,) = super().gradients(name, inputs, gradient)
        flat = gradient.second / gradient.diagonal[..., None]
        return (replace(below, second=flat * below.diagonal[..., None]),)


UNSEEN = (
    Mutant(
        "one slope for two inputs",
        "E phi'^2 is used for E phi' phi' of two inputs: no product of their gradients is judged.",
        THEORY,
        net("relu"),
        rule(OneSlope),
        pair=True,
        by_hand=("grad_cross_moment", nan),
    ),
)
