"""Gains: the stricter criticality, what torch's table does in depth, and unit-variance gains."""

from typing import Any

import mpmath
import sympy as sp

from derivations.derivation import Derivation, Step
from derivations.expectations import T, gaussian_integral
from varprop.activations import Activation, X, get
from varprop.theory.meanfield import critical_point, gain, mean_field
from varprop.theory.meanfield.gains import NFNET

q = sp.Symbol("q", positive=True)
WIDE = "wide layers: z ~ N(0, q); weights of variance g^2/fan_in, biases of variance b"
QUADRATURE = 1e-12


def _integral(expression: sp.Expr, variance: float) -> float:
    """E f(z), z ~ N(0, variance), by mpmath's tanh-sinh rule, which shares no code with varprop."""
    f = sp.lambdify(X, expression, "mpmath")
    root = mpmath.sqrt(variance)
    marks = [-40, -16, -8, -4, -2, -1, 0, 1, 2, 4, 8, 16, 40]
    total: Any = mpmath.quad(lambda u: f(root * u) * mpmath.npdf(u), marks)
    return float(total)


def _moments(phi: Activation, variance: float) -> tuple[float, float, float]:
    """E phi^2, E phi'^2 and E phi phi'', each by its own integral."""
    first = sp.diff(phi.expression, X)
    products = (phi.expression**2, first**2, phi.expression * sp.diff(first, X))
    return tuple(_integral(e, variance) for e in products)  # type: ignore[return-value]


def stricter_criticality() -> Derivation:
    gelu, silu = get("gelu"), get("silu")
    star = (3 + sp.sqrt(17)) / 2
    weight = 1 / gelu.derivative_second_moment(q)
    bias = q - weight * gelu.second_moment(q)
    bend = (weight * sp.diff(gelu.second_moment(q), q, 2)).subs(q, star)
    found, other = critical_point("gelu"), critical_point("silu")
    kept, slope, curvature = _moments(silu, other.fixed_point)
    return Derivation(
        "stricter-criticality",
        "Both factors at 1: E phi phi'' = 0",
        (
            WIDE,
            "chi_parallel - chi_perp = g^2 E phi phi'' (mean-field-chi): both are 1 where it is 0",
        ),
        (
            Step(
                "GELU: varprop's E phi phi'' has the sign of a quadratic",
                gelu.curvature(q),
                (2 + 3 * q - q**2)
                * q
                / (2 * sp.pi * (1 + q) ** 2 * (1 + 2 * q) ** sp.Rational(3, 2)),
                what="E phi phi''",
            ),
            Step("which has one positive root", 2 + 3 * star - star**2, 0, what="2 + 3q - q^2"),
            Step("varprop's search finds it", found.fixed_point, star, "~", what="q*", error=1e-9),
            Step(
                "The weight variance there, as published",
                sp.N(weight.subs(q, star), 20),
                1.98305826,
                "~",
                what="C_W",
                error=5e-9,
            ),
            Step(
                "and the bias variance",
                sp.N(bias.subs(q, star), 20),
                0.17292239,
                "~",
                what="C_b",
                error=5e-9,
            ),
            Step(
                "The variance map is concave there, so `q' < q` on both sides: q* attracts from "
                "above and repels to below",
                sp.N(bend, 20),
                0,
                "<",
                what="d^2 q'/dq^2 at q*",
            ),
            Step(
                "SiLU, E phi phi'' at varprop's point by an independent integral",
                curvature,
                0,
                "~",
                what="E phi phi''",
                error=QUADRATURE,
            ),
            Step(
                "Its weight variance, as published",
                1 / slope,
                1.98800468,
                "~",
                what="C_W",
                error=5e-9,
            ),
            Step(
                "Its bias variance",
                other.fixed_point - kept / slope,
                0.55514317,
                "~",
                what="C_b",
                error=5e-9,
            ),
            Step(
                "A value that circulates in code, 0.055514317, has its point one place off",
                other.fixed_point - kept / slope,
                0.055514317,
                "!=",
                what="C_b",
            ),
        ),
        "Roberts, Yaida & Hanin (2022), The Principles of Deep Learning Theory, chapter 5",
    )


def gain_table() -> Derivation:
    tanh = get("tanh")
    five = gain("tanh", "torch").mean_field
    kept, slope, _ = _moments(tanh, five.fixed_point)
    selu = get("selu")
    quarter = mean_field(selu, weight_variance=9 / 16)
    after = 9 / 16 * _integral(selu.expression**2, quarter.fixed_point)
    forward = float(mean_field(selu, weight_variance=1.0).variance_map(1.0))
    return Derivation(
        "gain-table",
        "What torch's gains 5/3 for tanh and 3/4 for SELU do in depth",
        (WIDE, "square layers, no bias; a gain is judged at the fixed point that it leads to"),
        (
            Step(
                "tanh, gain 5/3: varprop's fixed point, put into the map by another integral",
                25 / 9 * kept,
                five.fixed_point,
                "~",
                what="q*",
                error=QUADRATURE,
            ),
            Step("It is", five.fixed_point, 1.1785, "~", what="q*", error=5e-5),
            Step(
                "Gradients grow by more than a fifth per layer, by that integral",
                25 / 9 * slope,
                1.2098,
                "~",
                what="chi_perp",
                error=5e-5,
            ),
            Step(
                "and by varprop",
                five.chi_perp,
                25 / 9 * slope,
                "~",
                what="chi_perp",
                error=QUADRATURE,
            ),
            Step(
                "SELU's constants make q = 1 a fixed point at gain 1",
                forward,
                1,
                "~",
                what="q'",
                error=QUADRATURE,
            ),
            Step(
                "With gain 3/4 the fixed point is elsewhere: varprop's, by another integral",
                after,
                quarter.fixed_point,
                "~",
                what="q*",
                error=QUADRATURE,
            ),
            Step(
                "far below 1: not self-normalizing",
                quarter.fixed_point,
                0.02303,
                "~",
                what="q*",
                error=5e-6,
            ),
            Step(
                "where gradients keep their size to 0.4 % per layer",
                quarter.chi_perp,
                1.0037,
                "~",
                what="chi_perp",
                error=5e-5,
            ),
        ),
        "torch.nn.init.calculate_gain; Klambauer et al. (2017) for SELU",
    )


def unit_gain() -> Derivation:
    steps = []
    for name, stated in (("gelu", 1.144), ("silu", 1.173), ("tanh", 0.461)):
        kept, slope, curvature = _moments(get(name), 1.0)
        unit = gain(name)
        steps += [
            Step(
                f"{name}: chi_parallel at q = 1 by independent integrals",
                (slope + curvature) / kept,
                stated,
                "~",
                what="chi_parallel",
                error=5e-4,
            ),
            Step(
                "and by varprop",
                unit.chi_parallel,
                (slope + curvature) / kept,
                "~",
                what="chi_parallel",
                error=10 * QUADRATURE,
            ),
        ]
    mean, second = (gaussian_integral(T**k, T, sp.S.One, low=0) for k in (1, 2))
    relu = 1 / sp.sqrt((second - mean**2).doit())
    tanh = 1 / mpmath.sqrt(_integral(get("tanh").expression ** 2, 1.0))
    return Derivation(
        "unit-gain",
        "Gains 1/sqrt(E phi^2) and 1/sqrt(Var phi): exact values, and whether q = 1 is kept",
        (WIDE, "with `g^2 E phi(Z)^2 = 1`, q = 1 is a fixed point; chi_parallel says if stable"),
        (
            *steps,
            Step(
                "GELU: above 1, so q = 1 repels and deep layers leave it",
                1,
                gain("gelu").chi_parallel,
                "<",
                what="1",
            ),
            Step(
                "The variance gain of ReLU, by integration",
                relu,
                sp.sqrt(2 / (1 - 1 / sp.pi)),
                what="1/sqrt(Var relu(Z))",
            ),
            Step(
                "and varprop's",
                gain("relu", "variance").value,
                relu,
                "~",
                what="gain",
                error=1e-13,
            ),
            Step(
                "NFNet's published constant is an estimate: it is off in the fourth digit",
                sp.N(relu, 20),
                NFNET["relu"],
                "!=",
                what="1/sqrt(Var relu(Z))",
            ),
            Step(
                "by 1.1e-3",
                NFNET["relu"] - sp.N(relu, 20),
                1.1e-3,
                "~",
                what="difference",
                error=5e-5,
            ),
            Step(
                "and so for tanh, by 1.4e-3",
                NFNET["tanh"] - tanh,
                1.4e-3,
                "~",
                what="difference",
                error=5e-5,
            ),
        ),
        "Brock et al. (2021) for the variance gains; deepmind-research, nfnets/base.py",
    )
