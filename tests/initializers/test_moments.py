"""The laws of the initializers against references that share nothing with their formulas."""

import math
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
import scipy.stats
import sympy
import torch
from torch import nn

from varprop import laws
from varprop.initializers import get

n, m, s, a = sympy.symbols("n m s a", positive=True)
mu = sympy.Symbol("mu", real=True)


def reference_moment(law: laws.Law, k: int, weigh: SimpleNamespace) -> float:
    """E w^k by a route that shares nothing with the law's formula."""
    match law:
        case laws.Normal():
            return scipy.stats.norm(float(law.mean), math.sqrt(law.variance)).moment(k)
        case laws.Uniform():
            low, high = float(law.low), float(law.high)
            return scipy.stats.uniform(low, high - low).moment(k)
        case laws.TruncatedNormal():
            low, high, loc, scale = map(float, (law.low, law.high, law.loc, law.scale))
            low, high = max(low, loc - 12 * scale), min(high, loc + 12 * scale)
            points = np.linspace(low, high, 13).tolist()

            def integral(power: int) -> mpmath.mpf:
                return mpmath.quad(lambda x: x**power * mpmath.npdf(x, loc, scale), points)

            return float(integral(k) / integral(0))
        case laws.Rademacher():
            return float(np.mean([float(law.scale) ** k, (-float(law.scale)) ** k]))
        case laws.Laplace():
            b = math.sqrt(law.variance / 2)
            if k % 2:
                return 0.0
            return b**k * float(mpmath.quad(lambda x: x**k * mpmath.exp(-x), [0, 5, 20, 60, 120]))
        case laws.Constant():
            return float(law.value) ** k
        case laws.Orthogonal() | laws.Spherical():  # w^2 / gain^2 ~ Beta(1/2, (N - 1)/2)
            rows, cols = weigh.shape_of(law)
            size = max(rows, cols) if isinstance(law, laws.Orthogonal) else cols
            beta = scipy.stats.beta(0.5, (size - 1) / 2)
            return 0.0 if k % 2 else float(law.gain) ** k * beta.moment(k // 2)
        case laws.Sparse():
            kept = 1 - math.ceil(float(law.sparsity) * int(law.rows)) / int(law.rows)
            return kept * scipy.stats.norm(0, float(law.std)).moment(k)
        case laws.Dirac():
            rows, cols = weigh.shape_of(law)
            taps = math.prod(law.kernel)
            if law.kernel:
                w = nn.init.dirac_(torch.empty(rows, cols // taps, *law.kernel), law.groups)
            else:
                w = nn.init.eye_(torch.empty(rows, cols))
            return float((w**k).mean())
    raise NotImplementedError(law)


def test_moments_match_an_independent_reference(law: laws.Law, weigh: SimpleNamespace) -> None:
    for k in range(1, 9):
        scale = float(law.moment(k + k % 2)) ** (k / (k + k % 2))  # size of |w|^k, also for odd k
        assert float(law.moment(k)) == pytest.approx(
            reference_moment(law, k, weigh),
            rel=1e-6 if isinstance(law, laws.Dirac) else 1e-11,
            abs=1e-12 * scale,
        )


def test_derived_numbers_follow_from_the_raw_moments(law: laws.Law) -> None:
    m1, m2, m3, m4 = (law.moment(k) for k in (1, 2, 3, 4))
    assert law.moment(0) == 1
    assert float(law.mean) == pytest.approx(float(m1), abs=1e-15)
    assert float(law.variance - (m2 - m1**2)) == pytest.approx(0, abs=1e-14)
    if float(m2 - m1**2) < 1e-14:
        assert law.kurtosis is sympy.nan
    else:
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        assert float(law.kurtosis) == pytest.approx(float(fourth / (m2 - m1**2) ** 2), rel=1e-9)


def test_flags_are_true(law: laws.Law) -> None:
    odd = [float(law.moment(k)) for k in (1, 3, 5, 7)]
    assert law.symmetric == (max(map(abs, odd)) < 1e-15)
    assert law.gaussian == isinstance(law, laws.Normal)
    tied = laws.Orthogonal | laws.Spherical | laws.Sparse | laws.Dirac
    assert law.independent != isinstance(law, tied)


def test_symbolic_moments_are_the_integrals() -> None:
    x = sympy.Symbol("x", real=True)
    normal, uniform = laws.Normal(mu, s**2 / n), laws.Uniform(-a, a)
    density = sympy.exp(-((x - mu) ** 2) * n / (2 * s**2)) * sympy.sqrt(n / (2 * sympy.pi * s**2))
    for k in range(5):
        integral = sympy.integrate(x**k * density, (x, -sympy.oo, sympy.oo))
        assert sympy.simplify(integral - normal.moment(k)) == 0
        integral = sympy.integrate(x**k / (2 * a), (x, -a, a))
        assert sympy.simplify(integral - uniform.moment(k)) == 0


def test_symbolic_laws_read_as_formulas() -> None:
    assert laws.Normal(0, s**2 / n).variance == s**2 / n
    assert laws.Normal(mu, s**2 / n).kurtosis == 3
    assert laws.Uniform(mu, mu + a).kurtosis == sympy.Rational(9, 5)
    assert laws.Laplace(s**2).kurtosis == 6
    assert laws.Rademacher(s).kurtosis == 1
    assert laws.Orthogonal(s, n, n).variance == s**2 / n
    assert laws.Orthogonal(1, n, n).central_moment(4) == 3 / (n * (n + 2))
    assert get("xavier_uniform").at(n, m).variance == 2 / (n + m)
    assert get("variance_scaling").at(n, m).variance == 1 / n
    assert get("he_normal").at(n, m).variance == 2 / n
    assert get("torch_default_weight").at(n, m).variance == 1 / (3 * n)
    assert get("torch_default_in_proj").at(n, 3 * n).variance == 1 / (2 * n)


def test_truncated_normal_constants() -> None:
    def law(c: int) -> laws.TruncatedNormal:
        return laws.TruncatedNormal(0, 1, -c, c)

    # Keras and JAX write out the first one; to as many digits as they do.
    assert str(sympy.sqrt(law(2).variance).evalf(20)) == "0.87962566103423975041"
    stds = [float(sympy.sqrt(law(c).variance)) for c in (1, 3)]
    assert stds == pytest.approx([0.539560, 0.986578], abs=5e-7)
    kurtoses = [float(law(c).kurtosis) for c in (1, 2, 3)]
    assert kurtoses == pytest.approx([1.9409, 2.36554, 2.82889], abs=5e-5)


def test_floats_are_read_as_decimals() -> None:
    assert laws.Normal(0, 0.02).variance == sympy.Rational(1, 50)
    assert laws.Normal(0, 0.5 * s**2).variance == s**2 / 2
    assert laws.Normal(0, np.float64(0.1)).variance == sympy.Rational(1, 10)
    value = float(np.random.default_rng(0).random())
    assert float(laws.Constant(value).mean) == value
