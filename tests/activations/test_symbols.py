"""Symbols in, formulas out."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy import integrate

from varprop import gaussian
from varprop.activations import Q1, Q2, get

SINGLE = ["mean", "second_moment", "fourth_moment", "derivative_mean", "derivative_second_moment"]
DUAL = ["kernel", "derivative_kernel"]


@pytest.mark.parametrize("name", SINGLE)
def test_symbols_give_the_formula_of_the_number(phi, name):
    if phi.jumps and name == "derivative_second_moment":
        return
    q = sp.Symbol("q", positive=True)
    formula = sp.sympify(getattr(phi, name)(q))
    at = formula.subs(q, sp.Rational(3, 2))
    marks = [0.0, *(kink / math.sqrt(1.5) for kink in phi.kinks)]
    for integral in at.atoms(sp.Integral):
        f = sp.lambdify(integral.variables, integral.function, ["scipy", "numpy"])
        value, _ = integrate.quad(f, -12, 12, points=marks, epsabs=1e-13, limit=200)
        at = at.subs(integral, value)
    number = float(sp.N(at, 15))
    assert number == pytest.approx(float(getattr(phi, name)(1.5)), rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("name", DUAL)
def test_symbolic_kernels(phi, name):
    c = sp.Symbol("c", real=True)
    if phi.kernel_formula(name) is None:
        with pytest.raises(
            ValueError, match=f"{phi.name}.* has no closed-form {name}; give numbers"
        ):
            getattr(phi, name)(Q1, Q2, c)
        return
    unit = phi.scale**2
    at = (1.3 * unit, 0.6 * unit, 0.4)
    truth = float(getattr(phi, name)(*at))
    formula = getattr(phi, name)(Q1, Q2, c)
    assert gaussian.evaluate(formula, dict(zip((Q1, Q2, c), at, strict=True))) == pytest.approx(
        truth, rel=1e-11
    )
    if "kernel" in phi.formulas:
        gap = sp.Symbol("g", positive=True)
        values = {Q1: at[0], Q2: at[1], gap: 0.95 * unit - 0.4 * math.sqrt(0.78) * unit}
        by_gap = gaussian.evaluate(getattr(phi, name)(Q1, Q2, gap=gap), values)
        assert by_gap == pytest.approx(truth, rel=1e-11)


def test_symbols_in_arrays():
    q = sp.Symbol("q", positive=True)
    held = get("relu").second_moment(np.array([q, 2 * q], object))
    assert list(held) == [q / 2, q]
    c = sp.Symbol("c", real=True)
    kernel = get("erf").kernel(np.array([q, 1], object), q, c)
    assert kernel.shape == (2,)
    assert kernel[0] == get("erf").kernel(q, q, c)


def test_a_symbolic_slope():
    a, q = sp.symbols("a q", positive=True)
    phi = get("leaky_relu", a=a)
    assert sp.expand(phi.second_moment(q) - q * (1 + a**2) / 2) == 0
    assert sp.expand(phi.derivative_second_moment(q) - (1 + a**2) / 2) == 0
    assert sp.expand(phi.mean(q) - (1 - a) * sp.sqrt(q / (2 * sp.pi))) == 0
    assert not phi.arguments
