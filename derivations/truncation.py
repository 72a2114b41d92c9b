"""The truncated normal law: its density, its moments, and a density that circulates without 1/s."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.initializers import lecun_normal
from varprop.laws import TruncatedNormal

s, n = sp.symbols("s n", positive=True)
mu, t, x = sp.symbols("mu t x", real=True)
a, b = sp.symbols("a b")
k = sp.Symbol("k", positive=True, integer=True)
alpha, beta = (a - mu) / s, (b - mu) / s


def _phi(u: Any) -> Any:
    return sp.exp(-(u**2) / 2) / sp.sqrt(2 * sp.pi)


def _mass(low: Any, high: Any) -> Any:
    """Phi(high) - Phi(low), with `Phi(u) = (1 + erf(u/sqrt(2)))/2`."""
    return (sp.erf(high / sp.sqrt(2)) - sp.erf(low / sp.sqrt(2))) / 2


def truncated_normal() -> Derivation:
    z = _mass(alpha, beta)
    law = TruncatedNormal(mu, s, a, b)
    density = _phi((x - mu) / s) / (s * z)
    lecun: Any = lecun_normal().at(n, n)
    below = _mass(alpha, (x - mu) / s) / z
    two = TruncatedNormal(0, 1, -2, 2)
    z2 = _mass(sp.Integer(-2), sp.Integer(2))
    closed = sp.sqrt(1 - 4 * _phi(sp.Integer(2)) / z2)
    r = sp.Symbol("r", real=True)
    generating = sp.exp(r**2 / 2) * _mass(-2 - r, 2 - r) / z2
    primitive = -(t ** (k - 1)) * _phi(t)
    p, p2 = _phi(alpha), _phi(beta)
    first, second = (p - p2) / z, 1 + (alpha * p - beta * p2) / z
    recursion = 2 * first - (beta**2 * p2 - alpha**2 * p) / z
    return Derivation(
        "truncated-normal",
        "The truncated normal law and its moments",
        (
            "w ~ N(mu, s^2) given a <= w <= b, with a < b",
            "alpha = (a - mu)/s, beta = (b - mu)/s, `Z = Phi(beta) - Phi(alpha)`, w = mu + s t",
        ),
        (
            Step(
                "The mass below x, `F(x) = (Phi((x - mu)/s) - Phi(alpha))/Z`, has the density "
                "`phi((x - mu)/s)/(s Z)`",
                sp.diff(below, x),
                density,
                what="dF/dx",
            ),
            Step(
                "and rises from 0 to 1 between the bounds, which is what Z is for",
                row(below.subs(x, a), below.subs(x, b)),
                row(0, 1),
                what="(F(a), F(b))",
            ),
            Step(
                "Integration by parts for t: `t^k phi` is a derivative plus a lower power",
                sp.diff(primitive, t) + (k - 1) * t ** (k - 2) * _phi(t),
                t**k * _phi(t),
                what="d/dt (-t^(k-1) phi(t)) + (k-1) t^(k-2) phi(t)",
            ),
            Step(
                "k = 1, between the bounds and over Z: the mean, and varprop's law",
                mu + s * first,
                law.moment(1),
                what="E w",
            ),
            Step(
                "k = 2: the second moment of t, hence the variance, and varprop's law",
                s**2 * (second - first**2),
                law.variance,
                what="Var w",
            ),
            Step(
                "k = 3 gives the third central moment, and varprop's law",
                s**3 * (recursion - 3 * first * second + 2 * first**3),
                law.central_moment(3),
                what="E (w - E w)^3",
            ),
            Step(
                "The same without the recursion, cut at +-2. Complete the square: `r t - t^2/2 = "
                "r^2/2 - (t-r)^2/2`, so `E exp(r t)` is `exp(r^2/2)` times the mass of the shifted "
                "window over Z; its second and fourth derivative at r = 0",
                row(*(sp.diff(generating, r, j).subs(r, 0) for j in (2, 4))),
                row(two.moment(2), two.moment(4)),
                what="(E t^2, E t^4)",
            ),
            Step(
                "Cut at +-2 the standard deviation is `sqrt(1 - 4 phi(2)/Z)`",
                sp.sqrt(two.variance),
                closed,
                what="std t",
            ),
            Step(
                "varprop's lecun_normal widens the law by it to the variance stated",
                lecun.scale,
                1 / (sp.sqrt(n) * closed),
                what="s",
            ),
            Step(
                "To 20 digits; the constant 0.87962566103423978 of public code agrees to double "
                "precision",
                sp.sqrt(two.variance),
                sp.Float("0.87962566103423975041", 30),
                "~",
                what="std t",
                error=sp.Float("1e-20", 5),
            ),
        ),
        "Burkardt (2014), The truncated normal distribution",
    )


def truncated_density_without_sigma() -> Derivation:
    z = _mass(alpha, beta)
    written: Any = sp.Integral(_phi((x - mu) / s) / z, (x, a, b))
    total = written.doit()
    law = TruncatedNormal(mu, s, a, b)
    return Derivation(
        "truncated-density-without-sigma",
        "Refuted: the truncated density without the factor 1/sigma",
        (
            "phi is the density of the standard normal law, Phi its distribution function, s sigma",
            "as circulated: the density is `phi((x - mu)/s) / (Phi((b-mu)/s) - Phi((a-mu)/s))`",
        ),
        (
            Step(
                "Substitute x = mu + s t: dx = s dt brings out a factor s",
                written,
                s,
                what="total mass as written",
            ),
            Step(
                "so it is a density for s = 1 only",
                total.subs(s, 1),
                1,
                what="total mass at s = 1",
            ),
            Step(
                "With the factor 1/s it is one: the zeroth moment, and varprop's law",
                total / s,
                law.moment(0),
                what="total mass with 1/s",
            ),
            Step(
                "As written it is not",
                s,
                1,
                "!=",
                what="total mass as written",
                witness={s: 2},
            ),
        ),
        "Burkardt (2014), where phi is the density with its own mean and variance; written with "
        "the standard phi in the documentation and notes that cite it",
    )
