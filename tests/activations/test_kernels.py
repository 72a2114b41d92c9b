"""Two inputs: kernels against quadrature and long doubles, Price's theorem, jumps, range."""

import math
from functools import cache
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy.codegen.cfunctions import expm1

from varprop import gaussian
from varprop.activations import X, conditioning, get
from varprop.activations.activation import SYMBOLS
from varprop.activations.pairs import numeric_pair
from varprop.activations.special import softplus, tanh_residual

DUAL = ["kernel", "derivative_kernel"]
CORRELATIONS = np.array([-0.98, -0.7, 0.3, 0.999])


def in_units(phi, *variances: float) -> list[float]:
    return [q * phi.scale**2 for q in variances]


def absolute_error(phi, plain, name: str, q1: float, q2: float, sound: np.ndarray) -> np.ndarray:
    """1e-14 of the mean of the coincident values: rounding of the reference near zeros."""
    one = getattr(plain(phi), name)(q1, q1, 0.99) * getattr(plain(phi), name)(q2, q2, 0.99)
    return 1e-14 * math.sqrt(abs(one)) + 0 * sound


@pytest.mark.parametrize("name", DUAL)
def test_kernels_are_the_integrals(phi, name, plain):
    """To 1e-12; of a derivative kernel with jumps the regular part is the test's own."""
    q1, q2 = in_units(phi, 1.3, 0.6)
    found = getattr(phi, name)(q1, q2, CORRELATIONS)
    truth = getattr(plain(phi), name)(q1, q2, CORRELATIONS)
    assert found == pytest.approx(truth, rel=1e-12, abs=1e-15)
    assert found.shape == CORRELATIONS.shape


@pytest.mark.slow
@pytest.mark.parametrize(
    "q1, q2", [(1e-8, 1e-8), (1e-3, 1e-4), (0.3, 9.0), (30.0, 2.0), (1e3, 1e3)]
)
@pytest.mark.parametrize("name", DUAL)
def test_kernels_on_a_wide_grid(phi, name, q1, q2, plain):
    """Where the closed form is sound it is the integral, from opposite to equal inputs."""
    formula = phi.stable.get(name, phi.kernel_formula(name))
    if formula is None or (q1 > 20 and phi.expression.has(sp.sin, sp.cos, sp.exp)):
        return
    q1, q2 = in_units(phi, q1, q2)
    c = np.array([-1, -0.999, -0.9, -0.3, 1e-3, 0.5, 0.99, 1 - 1e-6, 1])
    c = c[1:-1] if phi.jumps and name == "derivative_kernel" else c
    values = numeric_pair(np.float64(q1), np.float64(q2), c, None)
    found, sound = conditioning.evaluate(formula, {k: values[k] for k in SYMBOLS})
    truth = getattr(plain(phi), name)(q1, q2, c)
    slack = absolute_error(phi, plain, name, q1, q2, sound)
    error = np.abs(found - truth) - 1e-12 * np.abs(truth) - slack
    assert np.all(error[sound] <= 0)
    assert getattr(phi, name)(q1, q2, c)[~sound] == pytest.approx(
        truth[~sound], rel=1e-12, abs=float(np.max(slack))
    )


LONG = {
    "Max": lambda x: np.maximum(*x),
    "expm1": np.expm1,
    "softplus": lambda x: np.logaddexp(x, 0),
}


@cache
def long_nodes(order: int) -> tuple[np.ndarray, np.ndarray]:
    with mpmath.workdps(25):
        points = mpmath.calculus.quadrature.GaussLegendre(mpmath.mp).calc_nodes(order, 90)
        return tuple(np.array([np.longdouble(str(v)) for v in row]) for row in zip(*points))  # noqa: B905


def long_panels(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights with the normal density, panel by panel; the last axis are nodes."""
    x, w = long_nodes(4)
    edges = np.sort(edges, -1).astype(np.longdouble)
    half, middle = np.diff(edges)[..., None] / 2, (edges[..., 1:] + edges[..., :-1])[..., None] / 2
    z = middle + half * x
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.longdouble(str(mpmath.mp.pi)))
    flat = (*edges.shape[:-1], -1)
    return z.reshape(flat), (half * w * density).reshape(flat)


def long_kernel(phi, expression: sp.Expr, q1: float, q2: float, c: float) -> float:
    """E f(z) f(z') as a double integral, split at the kinks, in long doubles."""
    expression = expression.replace(softplus, lambda x: sp.log(1 + sp.exp(x)))
    expression = expression.replace(tanh_residual, lambda x: x - sp.tanh(x))
    expression = expression.replace(expm1, lambda x: sp.exp(x) - 1)
    f = sp.lambdify(X, expression.evalf(25), [{"erfc": None}, "numpy"])
    base, kinks = np.array([-13.0, -8, -5, -3, -2, -1, 0, 1, 2, 3, 5, 8, 13]), np.array(phi.kinks)
    fine = np.arange(-13, 13, min(1.0, 2 * phi.scale / math.sqrt(max(q1, q2))))
    rest = math.sqrt(1 - c * c)
    turns = [kinks / math.sqrt(q1)]
    turns += [(kinks / math.sqrt(q2) + k * rest) / c for k in (-8, -4, -2, -1, 0, 1, 2, 4, 8)]
    edges = np.clip(np.concatenate([base, fine, *turns]), -13, 13)
    u, outer = long_panels(edges)
    at = (kinks / math.sqrt(q2) - c * u[:, None]) / rest
    both = np.concatenate([base, fine])
    inner = np.clip(np.concatenate([np.broadcast_to(both, (u.size, both.size)), at], -1), -13, 13)
    v, weight = long_panels(inner)
    root1, root2 = np.sqrt(np.longdouble(q1)), np.sqrt(np.longdouble(q2))
    second = f(root2 * (c * u[:, None] + rest * v)) * np.ones_like(v)
    return float(np.sum(outer * f(root1 * u) * np.sum(second * weight, -1)))


@pytest.mark.slow
@pytest.mark.parametrize("name", DUAL)
def test_kernels_against_long_doubles_in_two_dimensions(phi, name, integrands):
    if phi.expression.has(sp.erf, sp.erfc) or (phi.jumps and name == "derivative_kernel"):
        return  # NumPy has no erf of long doubles; point masses are tested below
    expression = phi.expression if name == "kernel" else phi.derivative
    q1, q2 = in_units(phi, 0.9, 0.5)
    truth = long_kernel(phi, expression, q1, q2, -0.35)
    assert getattr(phi, name)(q1, q2, -0.35) == pytest.approx(truth, rel=1e-12, abs=1e-15)


def test_a_gap_is_the_correlation_it_stands_for(phi):
    q1, q2 = in_units(phi, 1.3, 0.6)
    c = np.array([-0.9, 0.1, 0.8])
    gap = (q1 + q2) / 2 - c * math.sqrt(q1 * q2)
    for name in DUAL:
        by_gap = getattr(phi, name)(q1, q2, gap=gap)
        assert by_gap == pytest.approx(getattr(phi, name)(q1, q2, c), rel=1e-11, abs=1e-14)


def test_price(phi):
    """d/dC E phi phi' = E phi'(z) phi'(z'): a finite difference of the kernel."""
    q1, q2 = in_units(phi, 1.3, 0.6)
    h, c = 1e-4, 0.3
    sides = [phi.kernel(q1, q2, c + h * step) for step in (-2, -1, 1, 2)]
    slope = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * h)
    slope /= math.sqrt(q1 * q2)
    expected = phi.derivative_kernel(q1, q2, c)
    assert slope == pytest.approx(expected, rel=1e-9, abs=2e-10)


@pytest.mark.parametrize("label", ["step", "sign", "hardshrink", "threshold(-0.5, 0.3)"])
def test_a_derivative_kernel_of_jumps_is_refused_at_one(label):
    phi = get(label)
    for c in (1.0, -1.0, np.array([0.3, 1.0])):
        with pytest.raises(ValueError, match=r"is infinite at \|c\| = 1: phi jumps at"):
            phi.derivative_kernel(1.0, 1.0, c)
    assert np.isfinite(phi.derivative_kernel(1.0, 1.0, 0.999))


def test_point_masses_by_quadrature_are_those_of_the_formula(plain):
    """Hard shrink without its formula: masses at the jumps, slopes between them, both inputs."""
    for label in ("hardshrink", "threshold(-0.5, 0.3)", "softplus(2, 5)"):
        phi = get(label)
        found = plain(phi).derivative_kernel(1.3, 0.6, CORRELATIONS)
        h = 1e-4
        kernel = [plain(phi).kernel(1.3, 0.6, CORRELATIONS[:3] + k * h) for k in (-2, -1, 1, 2)]
        slope = (kernel[0] - 8 * kernel[1] + 8 * kernel[2] - kernel[3]) / (12 * h)
        assert found[:3] == pytest.approx(slope / math.sqrt(1.3 * 0.6), rel=1e-8)


def test_a_form_that_cancels_is_noticed(monkeypatch):
    """SELU at small q: terms of order one for a value of order q; quadrature takes over."""
    phi, q = get("selu"), np.float64(1e-9)
    values = numeric_pair(q, q, np.float64(0.5), None)
    value, sound = conditioning.evaluate(
        phi.kernel_formula("kernel"), {k: values[k] for k in SYMBOLS}
    )
    truth = phi.kernel(q, q, 0.5)
    assert not sound
    assert value != pytest.approx(truth, rel=1e-11, abs=0)
    monkeypatch.setattr(conditioning, "LOSS", math.inf)
    assert phi.kernel(q, q, 0.5) != pytest.approx(truth, rel=1e-11, abs=0)


def test_pairs_of_edges_meet():
    """The trapezoidal sum of hard tanh's kernel on 4001^2 points: no machinery in common."""
    u = np.linspace(-9, 9, 2001)
    z, w = np.meshgrid(u, u, indexing="ij")
    f = gaussian.compiled(get("hardtanh").expression, (X,))
    x, y = math.sqrt(1.3) * z, math.sqrt(0.6) * (0.4 * z + math.sqrt(1 - 0.16) * w)
    weight = np.exp(-(z**2 + w**2) / 2) / (2 * math.pi) * (u[1] - u[0]) ** 2
    truth = np.sum(f(x) * f(y) * weight)
    assert get("hardtanh").kernel(1.3, 0.6, 0.4) == pytest.approx(truth, rel=1e-5)
    assert [a < b for a, b in pairwise(CORRELATIONS)] == [True] * 3
