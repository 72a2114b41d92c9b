"""The zero test, expectations of polynomials, and the command line."""

import pytest
import sympy as sp

from derivations import Derivation, Step
from derivations.__main__ import main
from derivations.exact import counterexample, reduces_to_zero
from derivations.expectations import (
    expect_polynomial,
    gaussian_integral,
    gaussian_moments,
    iid_moments,
    polynomial_in_width,
)
from derivations.render import prose

x, y, n, v, m4 = sp.symbols("x y n v m_4", positive=True)
c = sp.Symbol("c", real=True)


@pytest.mark.parametrize(
    "zero",
    [
        (x + y) ** 2 - x**2 - 2 * x * y - y**2,
        sp.sqrt(x**2 + 2 * x * y + y**2) - x - y,
        sp.sqrt(x**2 * y + x * y**2) - sp.sqrt(x) * sp.sqrt(y) * sp.sqrt(x + y),
        sp.acos(c) + sp.asin(c) - sp.pi / 2,
        sp.sin(c) ** 2 + sp.cos(c) ** 2 - 1,
        sp.erf(c) + sp.erfc(c) - 1,
        sp.tanh(c) - (sp.exp(c) - sp.exp(-c)) / (sp.exp(c) + sp.exp(-c)),
        1 / (sp.sqrt(2) - 1) - sp.sqrt(2) - 1,
        sp.Integral(x**2, (x, 0, 1)) - sp.Rational(1, 3),
        sp.Matrix([[x - x, sp.expand((x + 1) ** 2) - (x + 1) ** 2]]),
    ],
    ids=str,
)
def test_identities_are_proved(zero):
    assert reduces_to_zero(zero)


@pytest.mark.parametrize(
    "other",
    [x, x - y, sp.sqrt(c**2) - c - 1, sp.nan, sp.Rational(1, 10**12) * x, sp.Function("f")(x)],
    ids=str,
)
def test_what_is_not_zero_or_undecided_is_refused(other):
    assert not reduces_to_zero(other)


def test_a_counterexample_respects_the_assumptions():
    point = counterexample(sp.sqrt(1 - c**2) * x)
    assert point is not None and point[x] > 0 and abs(point[c]) < 1


def test_polynomials_of_independent_symbols():
    w = sp.symbols("w_1:4")
    moments = dict.fromkeys(w, iid_moments(v, 0, m4))
    assert expect_polynomial(sum(w), moments) == 0
    fourth = expect_polynomial(sp.expand(sum(w) ** 4), moments)
    assert sp.expand(fourth - (3 * m4 + 18 * v**2)) == 0


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 6])
def test_gaussian_moments_are_the_integrals(k):
    z = sp.Symbol("z", real=True)
    integral = gaussian_integral(z**k, z, v).doit()
    assert sp.simplify(integral - gaussian_moments(v)(k)) == 0


def test_width_polynomial_and_a_degree_that_is_too_low():
    assert sp.expand(polynomial_in_width(lambda k: sp.Integer(k) ** 2, n, 2) - n**2) == 0
    with pytest.raises(ValueError, match="not a polynomial of degree 1 in n"):
        polynomial_in_width(lambda k: sp.Integer(k) ** 2, n, 1)


@pytest.mark.parametrize(
    ("step", "holds"),
    [
        (Step("", x, 2 * x, "<"), True),
        (Step("", x, x, "<="), True),
        (Step("", x, x, "<"), False),
        (Step("", c, x, "<"), False),
        (Step("", x, y, "!=", witness={x: 1, y: 2}), True),
        (Step("", x, y, "!=", witness={x: 1, y: 1}), False),
        (Step("", x, y, "!="), False),
        (Step("", sp.Rational(1, 3), 0.33, "~", error=0.01), True),
        (Step("", sp.Rational(1, 3), 0.33, "~", error=0.001), False),
    ],
)
def test_relations(step, holds):
    assert (not step.failure()) is holds


def test_the_result_is_what_the_last_step_states():
    steps = (Step("one", x, x), Step("two", 2 * x, x + x, what="twice x"))
    result = Derivation("name", "Title", ("x > 0",), steps, "none").result
    assert result == sp.Eq(sp.Symbol("twice x"), 2 * x, evaluate=False)


def test_prose_escapes_what_tex_would_read():
    assert prose("50% of a_b & #1") == r"50\% of a\_b \& \#1"
    assert prose("`fan_in >= 2 phi(z)^2`") == r"$\mathrm{fan}_{\mathrm{in}} \geq  2\ \phi(z)^{2}$"


def test_command_line(capsys, tmp_path):
    assert main(["glorot-uniform"]) == 0
    assert "sqrt(6)" in capsys.readouterr().out
    assert main(["glorot-unform"]) == 2
    errors = capsys.readouterr().err
    assert "did you mean glorot-uniform" in errors and errors.count("\n") == 1
    file = tmp_path / "proof.tex"
    assert main(["he-leaky", "--latex", str(file)]) == 0
    assert file.read_text().startswith(r"\documentclass")
