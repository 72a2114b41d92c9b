"""Functions that SymPy lacks, each with a float implementation that neither overflows nor cancels.

    softplus(x) = log(1 + e^x)        tanh_residual(x) = x - tanh x        erfcx(x) = e^(x^2) erfc x
    bivariate_normal(h, k, theta) = P(Z < h, Z' < k),  corr(Z, Z') = cos theta

`rewrite(sympy.exp)` or `rewrite(sympy.erf)` gives the elementary form of the first three.
"""

from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy import special

HALF = sp.Rational(1, 2)


def _any(x: Any) -> Any:
    return x


def normal_cdf(x: Any) -> Any:
    """P(Z < x) for a standard normal Z; accurate in both tails."""
    return sp.erfc(-x / sp.sqrt(2)) / 2


class softplus(sp.Function):
    """log(1 + e^x)."""

    _imp_ = staticmethod(lambda x: np.logaddexp(0.0, x))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return (1 + sp.tanh(_any(self.args[0]) / 2)) / 2

    def _eval_rewrite_as_exp(self, x: sp.Expr, **kwargs: Any) -> sp.Expr:
        return sp.log(1 + sp.exp(x))

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.exp)._eval_evalf(prec)


class tanh_residual(sp.Function):
    """x - tanh x, of order x^3/3 at 0."""

    _imp_ = staticmethod(lambda x: _tanh_residual(np.asarray(x, float)))

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sp.tanh(self.args[0]) ** 2

    def _eval_rewrite_as_exp(self, x: sp.Expr, **kwargs: Any) -> sp.Expr:
        return x - sp.tanh(x)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.exp)._eval_evalf(prec)


def _tanh_residual(x: np.ndarray) -> np.ndarray:
    """By Lambert's fraction tanh x = x/(1 + w), w = x^2/(3 + x^2/(5 + ...)), near 0."""
    near = np.clip(x, -1.0, 1.0) ** 2
    w = np.zeros_like(near)
    for odd in range(25, 1, -2):
        w = near / (odd + w)
    return np.where(np.abs(x) < 1, x * w / (1 + w), x - np.tanh(x))


class erfcx(sp.Function):
    """e^(x^2) erfc x, about 1/(x sqrt(pi)) for large x."""

    _imp_ = staticmethod(special.erfcx)

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return sp.S.One if x == 0 else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        (x,) = self.args
        return 2 * x * self - 2 / sp.sqrt(sp.pi)  # type: ignore[operator]

    def _eval_rewrite_as_erf(self, x: sp.Expr, **kwargs: Any) -> sp.Expr:
        return sp.exp(x**2) * (1 - sp.erf(x))

    def _eval_rewrite_as_erfc(self, x: sp.Expr, **kwargs: Any) -> sp.Expr:
        return sp.exp(x**2) * sp.erfc(x)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.erfc)._eval_evalf(prec)


class bivariate_normal(sp.Function):
    """P(Z < h, Z' < k) for standard normals of correlation cos(theta), to 1e-15 absolute.

    The angle is what is given because 1 - cos(theta) must keep its digits near theta = 0.
    """

    _imp_ = staticmethod(lambda h, k, theta: _by_owen(*np.broadcast_arrays(h, k, theta)))

    @classmethod
    def eval(cls, h: sp.Expr, k: sp.Expr, theta: sp.Expr) -> sp.Expr | None:
        if h == 0 and k == 0:
            return (sp.pi - theta) / (2 * sp.pi)
        if theta == 0 and h == k:
            return normal_cdf(h)
        return None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        h, k, theta = map(_any, self.args)
        cosine, sine = sp.cos(theta), sp.sin(theta)
        if argindex == 3:
            form = (h**2 - 2 * h * k * cosine + k**2) / (2 * sine**2)
            return -sp.exp(-form) / (2 * sp.pi)
        at, other = (h, k) if argindex == 1 else (k, h)
        density = sp.exp(-(at**2) / 2) / sp.sqrt(2 * sp.pi)
        return density * normal_cdf((other - cosine * at) / sine)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        with mpmath.workprec(prec + 20):
            h, k, theta = (
                mpmath.mpmathify(a.evalf(sp.S(prec) // 3 + 5)) for a in map(_any, self.args)
            )
            c, s = mpmath.cos(theta), mpmath.sin(theta)
            f = lambda x: mpmath.npdf(x) * mpmath.ncdf((k - c * x) / s)  # noqa: E731
            marks = [h - 40, h - 20, h - 10, h - 5, h - 2, h]
            return sp.Float(mpmath.quad(f, marks), precision=prec)


def _by_owen(h: np.ndarray, k: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """By Owen's T function: Owen (1956), Tables for computing bivariate normal probabilities."""
    h, k = h + 0.0, k + 0.0  # no negative zeros: their reciprocals have a sign
    with np.errstate(all="ignore"):
        total = (special.ndtr(h) + special.ndtr(k)) / 2
        total = total - _owen(h, k, theta) - _owen(k, h, theta)
    opposite = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    return np.where((h == 0) & (k == 0), (np.pi - theta) / (2 * np.pi), total - opposite / 2)


def _owen(h: np.ndarray, k: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """T(h, (k - h cos theta)/(h sin theta)), with 1 -+ cos by half angles."""
    near = (k - h) + 2 * h * np.sin(theta / 2) ** 2
    far = (k + h) - 2 * h * np.cos(theta / 2) ** 2
    numerator, denominator = np.where(theta < np.pi / 2, near, far), h * np.sin(theta)
    ratio = np.where((numerator == 0) & (denominator == 0), 0.0, numerator / denominator)
    return special.owens_t(h, ratio)
