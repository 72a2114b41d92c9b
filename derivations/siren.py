"""SIREN's variance claim: the arcsine law it assumes, and the fixed point that Gaussian z gives."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step
from varprop.activations import get
from varprop.initializers import uniform

q, n = sp.symbols("q n", positive=True)
w = sp.Symbol("w", negative=True)
OMEGA = 30
SINE = get("sin")


def after(variance: Any, bias: Any = 0) -> Any:
    """Var z of the next layer, U(+-sqrt(6/n)) weights, by varprop's second moment of the sine."""
    weights: Any = uniform(-sp.sqrt(6 / n), sp.sqrt(6 / n)).at(n, n)
    return sp.simplify(n * weights.variance) * SINE.second_moment(variance) + bias


def fixed_point() -> Any:
    """q = 1 + W_0(-2 e^-2)/2."""
    return 1 + sp.LambertW(-2 * sp.exp(-2)) / 2


def biased_fixed_point(width: int = 256) -> Any:
    """The q with torch.nn.Linear's bias U(+-1/sqrt(n)), multiplied by omega_0 = 30 as in SIREN."""
    return sp.nsolve(after(q, sp.Rational(OMEGA**2, 3 * width)) - q, q, 2, prec=30)


def siren_variance() -> Derivation:
    t = sp.Symbol("t", real=True)
    tiny = sp.Float(10, 40) ** -30
    return Derivation(
        "siren-variance",
        "Refuted: SIREN's weights give pre-activations of variance 1",
        (
            "x = sin(z), z = W x + b; W of U(+-sqrt(6/n)), as hidden layers see it once omega_0 is "
            "divided out; zero bias but in the last two steps",
            "z Gaussian, its law at large width",
        ),
        (
            Step(
                "A uniform phase (the arcsine law) has E sin^2 = 1/2, so fan_in Var(w) E sin^2 = 1",
                2 * sp.Integral(sp.sin(t) ** 2 / (2 * sp.pi), (t, -sp.pi, sp.pi)),
                1,
                what="Var z under the arcsine law",
            ),
            Step(
                "A Gaussian z of finite variance has less: varprop's rule",
                after(q),
                1 - sp.exp(-2 * q),
                what="Var z of the next layer",
            ),
            Step(
                "so variance 1 is not kept",
                after(sp.S.One),
                1,
                "!=",
                what="Var z after one layer from 1",
            ),
            Step(
                "With q = 1 + w/2 the fixed point is `w e^w = -2 e^-2`",
                ((1 - sp.exp(-2 * q) - q) * (-2) * sp.exp(w)).subs(q, 1 + w / 2),
                w * sp.exp(w) + 2 * sp.exp(-2),
                what="-2 e^w (q' - q)",
            ),
            Step(
                "Lambert's W solves it; the branch of -2 is q = 0",
                (w * sp.exp(w) + 2 * sp.exp(-2)).subs(w, -2),
                0,
                what="the equation at w = -2",
            ),
            Step(
                "the main branch is q = 1 + W_0(-2 e^-2)/2 = 0.7968",
                sp.N(fixed_point(), 40),
                sp.Rational("0.79681"),
                "~",
                what="q",
                error=sp.Rational(1, 10**5),
            ),
            Step(
                "which the map keeps",
                sp.N(after(fixed_point()), 40),
                sp.N(fixed_point(), 40),
                "~",
                what="q'",
                error=tiny,
            ),
            Step(
                "and attracts to: its slope there is 2 e^(-2q) = 2 (1 - q) < 1",
                sp.N(sp.diff(after(q), q).subs(q, fixed_point()), 40),
                sp.N(2 * (1 - fixed_point()), 40),
                "~",
                what="dq'/dq",
                error=tiny,
            ),
            Step(
                "torch's default bias, multiplied by omega_0 = 30, adds 900/(3n): 1.17 at n = 256",
                biased_fixed_point(),
                sp.Rational("2.1585"),
                "~",
                what="q with the bias of the published code",
                error=sp.Rational(1, 10**4),
            ),
            Step(
                "Backward, chi = 2 E cos^2 = 1 + e^(-2q): above 1 for every q",
                2 * SINE.derivative_second_moment(q),
                1 + sp.exp(-2 * q),
                what="chi",
            ),
            Step(
                "at the fixed point 2 - q = 1.2032",
                sp.N((1 + sp.exp(-2 * q)).subs(q, fixed_point()), 40),
                sp.Rational("1.20319"),
                "~",
                what="chi",
                error=sp.Rational(1, 10**5),
            ),
        ),
        "Sitzmann et al. (2020), section 3.2 and appendix",
    )
