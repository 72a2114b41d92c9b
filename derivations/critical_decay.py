"""The laws of decay at criticality: correlations at a fixed point, and a vanishing variance."""

from typing import Any

import mpmath
import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.activations import X, custom, get
from varprop.theory.meanfield import mean_field, power_laws
from varprop.theory.meanfield.vanishing import Side, expansion

q, w = sp.symbols("q w", positive=True)
e, t = sp.symbols("e theta", positive=True)
WIDE = "wide layers: z ~ N(0, q); w = `n Var(W_ij)`"


def relu_correlation_decay() -> Derivation:
    c = sp.Symbol("c", real=True)
    mapped: Any = 2 * get("relu").kernel(sp.S.One, sp.S.One, c)
    after: Any = 1 - mapped.subs(c, sp.cos(t)).subs(sp.acos(sp.cos(t)), t)
    after = after.subs(sp.sqrt(1 - sp.cos(t) ** 2), sp.sin(t))
    before = 1 - sp.cos(t)
    rate = 2 * sp.sqrt(2) / (3 * sp.pi)
    field = mean_field("relu", weight_variance=2.0)
    (law,) = power_laws(field)
    return Derivation(
        "relu-correlation-decay",
        "Under He's rule two inputs of a ReLU network align like 1/l^2",
        (WIDE, "w = 2, b = 0; c = cos(theta) is the correlation of two inputs, e = 1 - c"),
        (
            Step(
                "varprop's kernel in the angle, theta in (0, pi)",
                after,
                1 - (sp.sin(t) + (sp.pi - t) * sp.cos(t)) / sp.pi,
                what="1 - c'",
            ),
            Step(
                "c' - c has the derivative `theta sin(theta)/pi` in theta and is 0 at 0: so c "
                "increases, and only c = 1 is a fixed point",
                sp.diff(before - after, t),
                t * sp.sin(t) / sp.pi,
                what="d/dtheta (c' - c)",
            ),
            Step(
                "For small angles the gap loses `rate e^(3/2)`, rate = 2 sqrt(2)/(3 pi)",
                sp.limit(sp.series((before - after) / t**3, t, 0, 3).removeO(), t, 0),
                sp.limit(
                    rate * sp.series(before, t, 0, 4).removeO() ** sp.Rational(3, 2) / t**3, t, 0
                ),
                what="lim (e - e')/theta^3",
            ),
            Step(
                "so one layer adds rate/2 to `e^(-1/2)` in the limit",
                sp.limit((1 / sp.sqrt(e - rate * e ** sp.Rational(3, 2)) - 1 / sp.sqrt(e)), e, 0),
                rate / 2,
                what="lim (e'^(-1/2) - e^(-1/2))",
            ),
            Step(
                "varprop's general rule, from the jump of phi' at the kink, gives the same",
                law.constant,
                (2 / rate) ** 2,
                "~",
                what="lim e l^2",
                error=1e-12,
            ),
            Step(
                "By Stolz-Cesaro `e^(-1/2) ~ l rate/2`",
                (2 / rate) ** 2,
                9 * sp.pi**2 / 2,
                what="lim (1 - c_l) l^2",
            ),
        ),
        "Hayou, Doucet & Rousseau (2019) for the order; by Cho & Saul's (2009) kernel",
    )


def smooth_correlation_decay() -> Derivation:
    a = sp.Symbol("a", positive=True)
    steps = []
    for name in ("sin", "erf"):
        phi = get(name)
        kernel: Any = phi.kernel(q, q, 1 - e)
        second = custom(f"{name}''", sp.diff(phi.expression, X)).derivative_second_moment(q)
        twice: Any = sp.diff(w * kernel / q, e, 2).subs(e, 0)
        steps.append(
            Step(
                f"{name}: the second-order term of varprop's kernel is `w q E phi''^2/2`",
                sp.simplify(twice / 2),
                w * q * second / 2,
                what="the coefficient of e^2 in c'",
            )
        )
    field = mean_field("tanh", weight_variance=1.760954639606739, bias_variance=0.05)
    (law,) = power_laws(field)
    star = mpmath.mpf(field.fixed_point)

    def bent(u: Any) -> Any:
        value = mpmath.tanh(mpmath.sqrt(star) * u)
        return (2 * value * (1 - value**2)) ** 2 * mpmath.npdf(u)

    integral: Any = 2 * mpmath.quad(bent, [0, 1, 2, 4, 8, 16])
    kappa = 2 / (field.weight_variance * float(star * integral))
    return Derivation(
        "smooth-correlation-decay",
        "On the edge of chaos of a smooth activation two inputs align like 1/l",
        (WIDE, "chi_perp = 1 at the fixed point q; e = 1 - c", "phi' has no jump"),
        (
            *steps,
            Step(
                "With chi_perp = 1 the linear term is e: `e' = e - a e^2 + O(e^3)`, and one layer "
                "adds a to 1/e",
                sp.limit(1 / (e - a * e**2) - 1 / e, e, 0),
                a,
                what="lim 1/e' - 1/e",
            ),
            Step(
                "tanh at `b = 0.05`: varprop's point of the line is critical",
                field.chi_perp,
                1,
                "~",
                what="chi_perp",
                error=1e-13,
            ),
            Step(
                "So `e ~ kappa/l`, `kappa = 2/(w q E phi''^2)`: varprop's, and mpmath's",
                law.constant,
                kappa,
                "~",
                what="lim (1 - c_l) l",
                error=1e-11,
            ),
        ),
        "Hayou, Doucet & Rousseau (2019), the smooth class",
    )


def _half_moment(k: int) -> Any:
    """E z^k over z > 0, by parts `E z^k = (k - 1) q E z^(k-2)` from 1/2 and sqrt(q/(2 pi))."""
    if k < 2:
        return sp.sqrt(q / (2 * sp.pi)) if k else sp.Rational(1, 2)
    return (k - 1) * q * _half_moment(k - 2)


def vanishing_variance() -> Derivation:
    z = sp.Symbol("z", positive=True)
    slope, bend, third = (sp.symbols(f"{name}+ {name}-", real=True) for name in "skt")
    right, left = (Side(*(pair[i] for pair in (slope, bend, third))) for i in (0, 1))
    found = expansion(right, left)
    root = sp.sqrt(q)

    def phi(side: Side, u: Any) -> Any:
        return side.s * u + side.k * u**2 / 2 + side.t * u**3 / 6

    def mean(f: Any, highest: int) -> Any:
        """E f on both sides, by half moments, up to that power of z."""
        powers = sp.Poly(sp.expand(f(right, z) + f(left, -z)), z).terms()
        return sum(c * _half_moment(k) for (k,), c in powers if k <= highest)

    weight: Any = 2 / (right.s**2 + left.s**2)
    passed = mean(lambda side, u: phi(side, u) ** 2, 4)
    slopes = mean(lambda side, u: (side.s + side.k * u + side.t * u**2 / 2) ** 2, 2)
    rate, linear, gain = (sp.Symbol(name, positive=True) for name in ("C", "D", "G"))
    cases = {"softsign": sp.pi / 8, "elu": 2 * sp.pi, "tanh": sp.Rational(1, 2)}
    laws = {name: power_laws(mean_field(name, weight_variance=1.0)) for name in cases}
    return Derivation(
        "vanishing-variance",
        "At a critical point with q* = 0 the variance dies like a power of the depth",
        (
            WIDE,
            "phi = s z + k z^2/2 + t z^3/6 + ..., with s+, k+, t+ for z > 0 and s-, k-, t- for "
            "z < 0",
            "w = 2/(s+^2 + s-^2), so that both chi are 1 at q = 0",
        ),
        (
            Step(
                "q'/q from half-normal moments: varprop's `1 + A sqrt(q) + B q`",
                sp.expand(weight * passed / q),
                1 + found.root * root + found.linear * q,
                what="q'/q up to q",
            ),
            Step(
                "chi_perp has the same A, so a gradient shrinks as much as q to this order",
                sp.expand(weight * slopes),
                1 + found.root * root + found.gradient * q,
                what="chi_perp up to q",
            ),
            Step(
                "A smooth odd phi has A = 0 and B = G = phi_3/phi_1",
                row(*found[:3]).subs(
                    {slope[1]: slope[0], bend[0]: 0, bend[1]: 0, third[1]: third[0]}
                ),
                row(0, third[0] / slope[0], third[0] / slope[0]),
                what="(A, B, G)",
            ),
            Step(
                "A = -C < 0: one layer adds C/2 to `q^(-1/2)` in the limit, so `q ~ 4/(C l)^2`",
                sp.limit(1 / sp.sqrt(e**2 - rate * e**3) - 1 / e, e, 0),
                rate / 2,
                what="lim q'^(-1/2) - q^(-1/2)",
            ),
            Step(
                "and a layer multiplies gradients by `1 - C sqrt(q) = 1 - 2/l`: they go like l^-2",
                sp.limit(sp.log(1 - rate * sp.sqrt(4 * e**2 / rate**2)) / e, e, 0),
                -2,
                what="lim l log chi_perp",
            ),
            Step(
                "A = 0, B = -D < 0: one layer adds D to 1/q, so `q ~ 1/(D l)`",
                sp.limit(1 / (e - linear * e**2) - 1 / e, e, 0),
                linear,
                what="lim 1/q' - 1/q",
            ),
            Step(
                "and gradients go like l^(G/D)",
                sp.limit(sp.log(1 + gain * e / linear) / e, e, 0),
                gain / linear,
                what="lim l log chi_perp",
            ),
            Step(
                "The slope of the correlation map at c = 1 is `q chi_perp/q'`: A drops out, "
                "so deficits change by a summable `(G - B) q` where q ~ l^-2, and c is kept",
                sp.series(
                    (1 - rate * e + gain * e**2) / (1 - rate * e - linear * e**2), e, 0, 3
                ).removeO(),
                1 + (gain + linear) * e**2,
                what="dc'/dc at c = 1, e = sqrt(q)",
            ),
            *(
                Step(
                    f"varprop's constant for {name} at w = 1",
                    laws[name][0].constant,
                    constant,
                    "~",
                    what=f"lim q l^{-laws[name][0].exponent:g}",
                    error=1e-14,
                )
                for name, constant in cases.items()
            ),
        ),
        "half-normal moments; smooth phi: Roberts, Yaida & Hanin (2022), chapter 5",
    )
