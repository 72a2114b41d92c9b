"""Numeric rewrites and special functions at 50 digits, from q = 1e-8 to 1e6."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import special

from varprop.activations import ACTIVATIONS, Q1, Q2, SINE, THETA, C, Q, conditioning, get
from varprop.activations.special import bivariate_normal, erfcx, softplus, tanh_residual

VARIANCES = np.array([1e-8, 1e-4, 0.3, 17.0, 3e3, 1e6])
STABLE = [(label, name) for label in ACTIVATIONS for name in get(label).stable]


def exact(formula: sp.Expr, values: dict) -> mpmath.mpf:
    """The formula itself at 400 digits, so that nothing cancels."""
    with mpmath.workdps(400):
        return sp.lambdify(tuple(values), formula, "mpmath")(*values.values())


@pytest.mark.parametrize("label, name", STABLE)
def test_a_rewrite_is_the_formula(label, name):
    """To 1e-12 where it says that it is sound; and it is so nearly everywhere."""
    phi = get(label)
    formula, stable = phi.formula(name), phi.stable[name]
    sounds = []
    for q1 in VARIANCES * phi.scale**2:
        for ratio in (1.0, 0.3) if name.endswith("kernel") else (1.0,):
            for angle in (1e-6, 0.4, 1.4, 3.0) if name.endswith("kernel") else (0.0,):
                with mpmath.workdps(400):
                    a, b, t = mpmath.mpf(q1), mpmath.mpf(q1 * ratio), mpmath.mpf(angle)
                    values = {Q: a, Q1: a, Q2: b, C: mpmath.sqrt(a * b) * mpmath.cos(t), THETA: t}
                    values[SINE] = mpmath.sin(t)
                    truth = exact(formula, values)
                floats = {k: np.float64(float(v)) for k, v in values.items()}
                found, sound = conditioning.evaluate(stable, floats)
                sounds.append(bool(sound))
                if sound and abs(truth) > 1e-250:
                    assert float(found) == pytest.approx(
                        float(truth), rel=1e-12 + 1e-16 * q1**0.5, abs=0
                    )
    assert np.mean(sounds) > 0.9


@pytest.mark.parametrize("name, rise", [("second_moment", 1), ("derivative_second_moment", 0)])
def test_large_variances_of_elu_do_not_overflow(name, rise):
    """e^(2q) Phi(-2 sqrt q) = erfcx(sqrt(2q))/2 at q = 1e6, where e^(2q) is no float."""
    q = 1e6
    square = {0: 0.5 + special.erfcx(math.sqrt(2 * q)) / 2}
    square[1] = q / 2 + special.erfcx(math.sqrt(2 * q)) / 2 - special.erfcx(math.sqrt(q / 2)) + 0.5
    assert getattr(get("elu"), name)(q) == pytest.approx(square[rise], rel=1e-14)
    _, sound = conditioning.evaluate(get("elu").formula(name), {Q: np.float64(q)})
    assert sound


X50 = (-700.0, -30.0, -1.0, -1e-3, 1e-9, 0.3, 0.999, 1.001, 25.0, 700.0)


@pytest.mark.parametrize(
    "function, exact",
    [
        (softplus, lambda x: mpmath.log1p(mpmath.exp(x))),
        (tanh_residual, lambda x: x - mpmath.tanh(x)),
        (erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x)),
    ],
)
def test_special_functions(function, exact):
    """Floats and SymPy's evaluation against mpmath; slopes by differences of the latter."""
    x = sp.Symbol("x", real=True)
    for at in X50:
        if function is erfcx and at < -5:
            continue
        with mpmath.workdps(600):
            truth = exact(mpmath.mpf(at))
            h = mpmath.mpf(10) ** -200
            slope = (exact(mpmath.mpf(at) + h) - exact(mpmath.mpf(at) - h)) / (2 * h)
        assert float(function._imp_(at)) == pytest.approx(float(truth), rel=1e-13, abs=0)
        rise = function(x).diff(x).subs(x, sp.Rational(at))
        assert float(rise.evalf(30)) == pytest.approx(float(slope), rel=1e-12, abs=1e-25)
        assert float(function(sp.Rational(at)).evalf(40)) == pytest.approx(float(truth), rel=1e-14)


GRID = [(h, k) for h in (-6.0, 0.0, 0.4) for k in (-1.3, 0.0, 0.4)]


@pytest.mark.parametrize("theta", [1e-9, 1e-3, 0.7, math.pi / 2, 2.2, 3.1])
def test_the_bivariate_normal_distribution(theta):
    """Floats to 2e-16 of one against the integral of the conditional probability at 20 digits."""
    for h, k in GRID:
        with mpmath.workdps(20):
            c, s = mpmath.cos(theta), mpmath.sin(theta)
            turn = [k / c + m * s / c for m in (-12, -6, -3, -1, 0, 1, 3, 6, 12)]
            marks = sorted({-12.0, -6.0, -3.0, *(float(t) for t in turn if -12 < t < h), h})
            f = lambda x, c=c, s=s, k=k: mpmath.npdf(x) * mpmath.ncdf((k - c * x) / s)  # noqa: E731
            truth = mpmath.quad(f, [m for m in marks if m <= h])
        found = bivariate_normal._imp_(h, k, theta)
        assert float(found) == pytest.approx(float(truth), abs=4e-16)


def test_bivariate_normal_slopes_and_limits():
    h, k, t = sp.symbols("h k t", real=True)
    f = bivariate_normal(h, k, t)
    at = {h: 0.3, k: -0.6, t: 0.8}
    for symbol in (h, k, t):
        step = 1e-5
        ends = [
            bivariate_normal._imp_(*{**at, symbol: at[symbol] + e}.values()) for e in (step, -step)
        ]
        assert float(f.diff(symbol).subs(at)) == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), rel=1e-8
        )
    assert bivariate_normal(0, 0, t) == (sp.pi - t) / (2 * sp.pi)
    assert bivariate_normal(h, h, 0).subs(h, 1).evalf() == pytest.approx(special.ndtr(1.0))
    assert float(bivariate_normal._imp_(1.0, 1.0, 0.0)) == pytest.approx(special.ndtr(1.0))
    assert float(bivariate_normal._imp_(1.0, -1.0, math.pi)) == pytest.approx(0.0, abs=1e-16)
    exact = bivariate_normal(sp.Rational(3, 10), -sp.Rational(3, 5), sp.Rational(4, 5)).evalf(30)
    assert float(exact) == pytest.approx(float(bivariate_normal._imp_(0.3, -0.6, 0.8)), abs=1e-16)
