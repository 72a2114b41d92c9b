"""Faults planted in varprop's rules: the derivation of the rule must notice each."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import sympy as sp

import varprop.activations
import varprop.initializers
import varprop.laws
from derivations import DerivationError, derive
from varprop.activations import ACTIVATIONS, Activation, truncated
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.theory.meanfield import MeanField, decay
from varprop.theory.meanfield.correlation import PairMap


class Mutant(NamedTuple):
    """`plant` breaks one rule; `derivation` is the proof that must fail."""

    name: str
    derivation: str
    plant: Callable[[pytest.MonkeyPatch], None]


def wrong_fan_forward(patch: pytest.MonkeyPatch) -> None:
    right = Dense.moments

    def moments(self: Dense, name: str, *inputs: Any) -> Any:
        law = right(self, name, *inputs)
        return replace(law, second=law.second * self.fan_out / self.fan_in)

    patch.setattr(Dense, "moments", moments)


def wrong_fan_backward(patch: pytest.MonkeyPatch) -> None:
    right = Dense.gradients

    def gradients(self: Dense, name: str, inputs: tuple, gradient: Any) -> Any:
        (g,) = right(self, name, inputs, gradient)
        return (replace(g, second=g.second * self.fan_in / self.fan_out),)

    patch.setattr(Dense, "gradients", gradients)


def forgotten_bias(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dense, "bias_second", property(lambda self: sp.S.Zero))


def gap_with_bias(patch: pytest.MonkeyPatch) -> None:
    right = Dense.moments

    def moments(self: Dense, name: str, *inputs: Any) -> Any:
        law = right(self, name, *inputs)
        return replace(law, gap=law.gap + self.bias_second)

    patch.setattr(Dense, "moments", moments)


def edited(name: str, formula: str, change: Callable[[sp.Expr], sp.Expr]) -> Any:
    """Replace one closed form of an activation."""
    factory = ACTIVATIONS[name]

    @functools.wraps(factory)
    def wrong(*args: Any, **kwargs: Any) -> Activation:
        right = factory(*args, **kwargs)
        return replace(right, formulas={**right.formulas, formula: change(right.formulas[formula])})

    return lambda patch: patch.setitem(ACTIVATIONS, name, wrong)


def no_cross_term(patch: pytest.MonkeyPatch) -> None:
    right = Add.moments

    def moments(self: Add, name: str, *inputs: Any) -> Any:
        a, b = inputs
        return replace(right(self, name, *inputs), second=a.second + b.second)

    patch.setattr(Add, "moments", moments)


def unsquared_scale(patch: pytest.MonkeyPatch) -> None:
    right = Scale.moments

    def moments(self: Scale, name: str, *inputs: Any) -> Any:
        (x,) = inputs
        return replace(right(self, name, *inputs), second=self.factor * x.second)

    patch.setattr(Scale, "moments", moments)


def slope_not_squared(patch: pytest.MonkeyPatch) -> None:
    right = Elementwise.gradients

    def gradients(self: Elementwise, name: str, inputs: tuple, gradient: Any) -> Any:
        (g,) = right(self, name, inputs, gradient)
        return (replace(g, second=2 * g.second),)

    patch.setattr(Elementwise, "gradients", gradients)


def curvature_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Activation, "second_moment_slope", Activation.derivative_second_moment)


def one_mask_for_both(patch: pytest.MonkeyPatch) -> None:
    right = PairMap.next

    def next_(self: PairMap, deficit: Any) -> Any:
        return right(self._replace(keep=1 - (1 - self.keep) / 2), deficit)

    patch.setattr(PairMap, "next", next_)


def coefficient(name: str) -> Any:
    """A coefficient of the power laws that is off by a percent."""
    right = getattr(decay, name)
    return lambda patch: patch.setattr(decay, name, lambda *args: 1.01 * right(*args))


def gradients_off(patch: pytest.MonkeyPatch) -> None:
    right = MeanField.chi_perp_at
    patch.setattr(MeanField, "chi_perp_at", lambda self, q: 1.001 * right(self, q))


def no_boundary(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(truncated, "at_edge", lambda *_: sp.S.Zero)


def law_moment(law: type, change: Callable[[sp.Expr, int], sp.Expr]) -> Any:
    right = law.central_moment
    return lambda patch: patch.setattr(
        law, "central_moment", lambda self, k: change(right(self, k), k)
    )


C, Q = varprop.activations.C, varprop.activations.Q
MUTANTS = (
    Mutant("forward fan", "dense-forward", wrong_fan_forward),
    Mutant("forward fan", "glorot-rectangular", wrong_fan_forward),
    Mutant("backward fan", "dense-backward", wrong_fan_backward),
    Mutant("backward fan", "he-telescoping", wrong_fan_backward),
    Mutant("bias", "dense-forward", forgotten_bias),
    Mutant("bias", "pytorch-default", forgotten_bias),
    Mutant("bias in the gap", "dense-forward", gap_with_bias),
    Mutant("leaky kernel", "leaky-kernel", edited("leaky_relu", "kernel", lambda f: f + C / 9)),
    Mutant("leaky kernel", "he-leaky", edited("leaky_relu", "kernel", lambda f: 2 * f)),
    Mutant("leaky fourth", "he-leaky", edited("leaky_relu", "fourth_moment", lambda f: f * Q)),
    Mutant("relu mean", "relu-kernel", edited("relu", "mean", lambda f: f / 2)),
    Mutant("erf kernel", "erf-kernel", edited("erf", "kernel", lambda f: f + C**3)),
    Mutant("gelu kernel", "gelu-kernel", edited("gelu", "kernel", lambda f: f - C / 8)),
    Mutant("gelu mean", "gelu-kernel", edited("gelu", "mean", lambda f: f * sp.sqrt(2))),
    Mutant("sin kernel", "sin-kernel", edited("sin", "kernel", lambda f: f * sp.exp(-C))),
    Mutant("sin fourth", "sin-kernel", edited("sin", "fourth_moment", lambda f: 2 * f)),
    Mutant("no curvature", "mean-field-chi", curvature_forgotten),
    Mutant("gradients", "mean-field-chi", gradients_off),
    Mutant("gradients", "gain-table", gradients_off),
    Mutant("no curvature", "unit-gain", curvature_forgotten),
    Mutant("erf kernel", "erf-critical-line", edited("erf", "kernel", lambda f: 1.1 * f)),
    Mutant("gelu kernel", "stricter-criticality", edited("gelu", "kernel", lambda f: f - C / 8)),
    Mutant("kinks", "relu-correlation-decay", coefficient("kinked_coefficient")),
    Mutant("bend", "smooth-correlation-decay", coefficient("smooth_coefficient")),
    Mutant("one mask", "dropout-correlation", one_mask_for_both),
    Mutant("cos kernel", "wave-kernels", edited("cos", "kernel", lambda f: f + C)),
    Mutant("bump", "exponential-kernels", edited("gaussian", "kernel", lambda f: f**2)),
    Mutant("Phi kernel", "normal-cdf-kernel", edited("normal_cdf", "kernel", lambda f: f + C**3)),
    Mutant("boundary term", "truncated-moments", no_boundary),
    Mutant("no cross term", "residual-doubling", no_cross_term),
    Mutant("scale not squared", "residual-doubling", unsquared_scale),
    Mutant("no cross term", "residual-recurrence", no_cross_term),
    Mutant("bias", "affine-recurrence", forgotten_bias),
    Mutant("slope", "affine-recurrence", slope_not_squared),
    Mutant("slope", "he-leaky", slope_not_squared),
    Mutant(
        "uniform variance",
        "glorot-uniform",
        law_moment(varprop.laws.Uniform, lambda m, k: m * 3 if k == 4 else m),
    ),
    *(
        Mutant(
            "truncated variance",
            name,
            law_moment(varprop.laws.TruncatedNormal, lambda m, k: 2 * m if k == 2 else m),
        )
        for name in ("truncated-normal", "truncation-pitfalls")
    ),
)


SLOW = {"stricter-criticality"}  # two seconds; the same fault is caught in gelu-kernel


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(m, marks=[pytest.mark.slow] * (m.derivation in SLOW)) for m in MUTANTS],
    ids=lambda m: f"{m.name} in {m.derivation}",
)
def test_mutant_dies(mutant, monkeypatch):
    mutant.plant(monkeypatch)
    with pytest.raises(DerivationError, match=f"^{mutant.derivation}, step"):
        derive(mutant.derivation).verify()
