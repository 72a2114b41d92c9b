"""What goes wrong with truncated weights: bounds that are values, clipping, outliers; inverse."""

from typing import Any

import sympy as sp

from derivations.derivation import Derivation, Step, row
from varprop.laws import TruncatedNormal, Uniform, relative_scale

s, b, c, p = sp.symbols("s b c p", positive=True)
tau, x = sp.Symbol("tau", positive=True), sp.Symbol("x", real=True)


def _family(k: int) -> Any:
    return x**k * sp.exp(-tau * x**2 / 2)


def _antiderivative(k: int) -> Any:
    """By parts down to erf; the derivation differentiates it."""
    if k == 0:
        return sp.sqrt(sp.pi / (2 * tau)) * sp.erf(sp.sqrt(tau / 2) * x)
    return (-_family(k - 1) + (k - 1) * _antiderivative(k - 2)) / tau


def _exponential_family(k: int) -> Any:
    """The integral of x^k exp(-tau x^2 / 2) over [-b, b]."""
    found = _antiderivative(k)
    return found.subs(x, b) - found.subs(x, -b)


def truncated_inverse() -> Derivation:
    law = TruncatedNormal(0, 1 / sp.sqrt(tau), -b, b)
    relative = TruncatedNormal(0, s, -c * s, c * s)
    one = TruncatedNormal(0, 1, -1, 1)
    flat = [sp.Integral(x**k, (x, -b, b)).doit() for k in (0, 2)]
    z0, z2, z4 = (_exponential_family(k) for k in (0, 2, 4))
    return Derivation(
        "truncated-inverse",
        "Which std to pass to a truncated normal for the variance wanted",
        (
            "w ~ N(0, s^2) given -b <= w <= b, tau = 1/s^2; relative bounds are b = c s",
            "Z_k is the integral of `x^k exp(-tau x^2/2)` over the window",
        ),
        (
            Step(
                "The antiderivatives of `x^k exp(-tau x^2/2)` by parts, k = 0, 2, 4",
                row(*(sp.diff(_antiderivative(k), x) for k in (0, 2, 4))),
                row(*map(_family, (0, 2, 4))),
                what="integrands",
            ),
            Step("The variance is Z_2/Z_0: varprop's law", law.variance, z2 / z0, what="Var w"),
            Step(
                "Each derivative in tau brings down -x^2/2",
                row(sp.diff(z0, tau), sp.diff(z2, tau)),
                row(-z2 / 2, -z4 / 2),
                what="(dZ_0, dZ_2)/dtau",
            ),
            Step(
                "so the variance falls in tau, that is rises with s, by the variance of w^2, which "
                "is positive: one s for each variance in reach",
                sp.diff(z2 / z0, tau),
                -(law.moment(4) - law.moment(2) ** 2) / 2,
                what="dVar/dtau",
            ),
            Step(
                "At tau = 0, the limit of large s, Z_2/Z_0 is the variance of the uniform law, "
                "which is out of reach",
                flat[1] / flat[0],
                Uniform(-b, b).variance,
                what="lim Var w",
            ),
            Step(
                "Relative bounds scale with s, so that the variance is a multiple of s^2",
                relative.variance,
                s**2 * TruncatedNormal(0, 1, -c, c).variance,
                what="Var w, bounds +-c s",
            ),
            Step(
                "and s is the std wanted over that of the standard law: varprop, c = 1",
                relative_scale(s, -1, 1),
                s / sp.sqrt(one.variance),
                what="the std to pass",
            ),
        ),
        "an exponential family: the slope of a mean is a variance",
    )


def truncation_pitfalls() -> Derivation:
    two = TruncatedNormal(0, 1, -2, 2)
    ratio = sp.sqrt(two.variance)
    outside = sp.erfc(sp.sqrt(2))
    clipped = (1 - outside) * two.moment(2) + 4 * outside
    density = sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)
    inner = 2 * sp.integrate(x**2 * density, (x, 0, 2))
    tails = 8 * sp.integrate(density, (x, 2, sp.oo))
    w2 = (1 - p) * s**2 + p * b**2
    w4 = (1 - p) * 3 * s**4 + p * b**4
    two_of = {p: sp.Rational(2, 2**26), s: sp.Rational(2, 1000), b: 2}
    return Derivation(
        "truncation-pitfalls",
        "Truncated weights: the correction that is none, clipping, and outliers",
        (
            "bounds of torch's trunc_normal are values; those of JAX and Keras count sigmas",
            "clipping sets what is outside to the bound; outliers are a share p at the bound b",
        ),
        (
            Step(
                "Bounds at 2 cut nothing of N(0, s^2), s = 0.02/0.8796: the weights have std s, "
                "13.7 % above 0.02",
                1 / ratio - 1,
                sp.Float("0.13685", 20),
                "~",
                what="excess of the std",
                error=sp.Float("5e-6", 5),
            ),
            Step(
                "and 29.2 % above it in variance",
                1 / two.variance - 1,
                sp.Float("0.29242", 20),
                "~",
                what="excess of the variance",
                error=sp.Float("5e-6", 5),
            ),
            Step(
                "Clipping at 2 sigma keeps the mass outside, at the bound: by integration",
                inner + tails,
                clipped,
                what="E clip(t)^2",
            ),
            Step(
                "so its standard deviation is 0.95945, not 0.87963",
                sp.sqrt(clipped),
                sp.Float("0.95945", 20),
                "~",
                what="std of clip(t)",
                error=sp.Float("5e-6", 5),
            ),
            Step(
                "A share p = 2/2^26 of outliers at 2.0 among N(0, 0.002^2) moves the std by 1.5 %",
                sp.sqrt(w2).subs(two_of),
                sp.Float("0.0020296", 20),
                "~",
                what="std w",
                error=sp.Float("5e-8", 5),
            ),
            Step(
                "and the kurtosis from 3 to 28 105: a test of the std alone passes them",
                (w4 / w2**2).subs(two_of),
                sp.Integer(28105),
                "~",
                what="kurtosis",
                error=sp.Rational(1, 2),
            ),
        ),
        "direct integration; the outliers are those of samplers by the inverse error function in "
        "single precision",
    )
