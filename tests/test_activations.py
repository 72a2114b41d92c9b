"""Every activation of the table against torch, mpmath, quadrature and its own symbols."""

import math
import pickle
from collections.abc import Callable
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch
from scipy import integrate

from varprop import gaussian
from varprop.activations import ACTIVATIONS, Q1, Q2, SINE, THETA, Activation, C, Q, X, custom, get
from varprop.activations import activation as module
from varprop.activations.pairs import deficit, ray_gap
from varprop.layers.elementwise import torch_function

torch.set_num_threads(1)
VARIANCES = np.array([0.02, 0.6, 40.0])
TABLE: dict[str, Activation] = {name: get(name) for name in ACTIVATIONS}
TABLE["leaky_relu(0.3)"] = get("leaky_relu", a=0.3)
TABLE["leaky_relu(-2)"] = get("leaky_relu", a=-2)
every_activation = pytest.mark.parametrize("phi", TABLE.values(), ids=TABLE.keys())
SINGLE = ["mean", "second_moment", "fourth_moment", "derivative_mean", "derivative_second_moment"]
DUAL = ["kernel", "derivative_kernel"]


def integrand(phi: Activation, name: str) -> sp.Expr:
    """The function of one z whose mean the moment is, written here a second time."""
    slope = sp.diff(phi.expression, X).replace(sp.DiracDelta, lambda *_: sp.Integer(0))
    return {
        "mean": phi.expression,
        "second_moment": phi.expression**2,
        "fourth_moment": phi.expression**4,
        "derivative_mean": slope,
        "derivative_second_moment": slope**2,
    }[name]


def mpmath_mean(expression: sp.Expr, q: float, kinks: tuple[float, ...]) -> float:
    """E f(z), z ~ N(0, q), at 30 digits."""
    f = sp.lambdify(X, expression, "mpmath")
    with mpmath.workdps(30):
        root = mpmath.sqrt(q)
        marks = [m / root for m in (*kinks, -12, -3, -1, 0, 1, 3, 12)]
        marks = sorted({z for z in marks if abs(z) < 13} | {-13, -6, -2, 2, 6, 13})
        rule = {"method": "gauss-legendre", "maxdegree": 5}
        return float(mpmath.quad(lambda z: f(root * z) * mpmath.npdf(z), marks, **rule))


def without_formulas(phi: Activation) -> Activation:
    """The same function with no closed form, so that everything is quadrature."""
    return Activation(phi.name, phi.expression, kinks=phi.kinks, homogeneous=phi.homogeneous)


# -- the function ----------------------------------------------------------------------------


@every_activation
def test_the_expression_is_the_torch_function_with_its_slope(phi):
    grid = torch.linspace(-6.05, 5.95, 241, dtype=torch.float64)
    away = torch.stack([(grid - kink).abs() > 1e-3 for kink in (*phi.kinks, 1e9)]).all(0)
    z = grid[away].requires_grad_()
    value = torch_function(phi)(z, *phi.arguments)
    (slope,) = torch.autograd.grad(value.sum(), z)
    points = z.detach().numpy()
    assert phi(points) == pytest.approx(value.detach().numpy(), rel=1e-13, abs=1e-14)
    assert phi.slope(points) == pytest.approx(slope.numpy(), rel=1e-12, abs=1e-14)


@every_activation
def test_kinks_are_where_the_slope_jumps(phi):
    """The slope is continuous on a fine grid but at the declared kinks."""
    grid = np.linspace(-3, 3, 6001)  # 0 is a point of it
    jumps = np.abs(np.diff(phi.slope(grid))) > 0.05 * np.ptp(phi.slope(grid)) + 1e-9
    found = {round(float(v), 6) for v in grid[1:][jumps]} | {
        round(float(v), 6) for v in grid[:-1][jumps]
    }
    assert bool(found) == bool(phi.kinks)
    assert all(any(abs(v - kink) < 2e-3 for kink in phi.kinks) for v in found)


@every_activation
def test_homogeneous_says_what_it_is(phi):
    z = np.linspace(-4, 4, 81)
    assert phi.homogeneous == np.allclose(phi(2 * z), 2 * phi(z), rtol=1e-12, atol=1e-12)


# -- one input -------------------------------------------------------------------------------


@every_activation
@pytest.mark.parametrize("name", SINGLE)
def test_moments_are_the_integrals(phi, name):
    """Closed form (or the quadrature that the method falls back on), quadrature, mpmath."""
    found = getattr(phi, name)(VARIANCES)
    by_quadrature = getattr(without_formulas(phi), name)(VARIANCES)
    truth = [mpmath_mean(integrand(phi, name), q, phi.kinks) for q in VARIANCES]
    assert found == pytest.approx(truth, rel=1e-10, abs=1e-14)
    assert by_quadrature == pytest.approx(truth, rel=1e-10, abs=1e-14)
    assert getattr(phi, name)(0.6) == pytest.approx(truth[1], rel=1e-10, abs=1e-14)


@every_activation
def test_the_slope_of_the_second_moment_has_no_derivative_in_its_reference(phi):
    """d E phi^2 / dq = E phi^2 (Z^2 - 1) / (2 q), by differentiating the density; mpmath."""
    for q in VARIANCES:
        integrand = phi.expression**2 * (X**2 / q - 1) / (2 * q)
        truth = mpmath_mean(integrand, q, phi.kinks)
        assert phi.second_moment_slope(q) == pytest.approx(truth, rel=1e-10, abs=1e-14)
        assert without_formulas(phi).second_moment_slope(q) == pytest.approx(truth, rel=1e-10)
        slope = phi.derivative_second_moment(q)
        assert phi.curvature(q) == pytest.approx(truth - slope, rel=1e-8, abs=1e-13)


def closed_forms() -> list[tuple[str, str]]:
    return [(label, formula) for label, phi in TABLE.items() for formula in phi.formulas]


@pytest.mark.parametrize("label, formula", closed_forms())
def test_a_wrong_closed_form_is_found_out(label, formula):
    """Each formula of the table is a mutant in turn, off by one part in 10^6 plus as much."""
    phi = TABLE[label]
    mutant = {**phi.formulas, formula: phi.formulas[formula] * (1 + 1e-6) + 1e-6}
    wrong = Activation(phi.name, phi.expression, kinks=phi.kinks, formulas=mutant)
    plain = without_formulas(phi)
    if formula in DUAL:
        found = getattr(wrong, formula)(1.3, 0.7, 0.4)
        truth = getattr(plain, formula)(1.3, 0.7, 0.4)
    else:
        found, truth = getattr(wrong, formula)(1.3), getattr(plain, formula)(1.3)
    assert found != pytest.approx(truth, rel=1e-10, abs=1e-14)


@every_activation
def test_stein(phi):
    """E z phi(z) = q E phi'(z)."""
    found = phi.moment(lambda z, value, slope: z * value, VARIANCES)
    assert found == pytest.approx(VARIANCES * phi.derivative_mean(VARIANCES), rel=1e-9, abs=1e-13)


@every_activation
def test_a_moment_of_known_degree_is_the_same_moment(phi):
    def f(z, value, slope):
        return z * value * slope

    assert phi.moment(f, VARIANCES, 2) == pytest.approx(phi.moment(f, VARIANCES), rel=1e-10)


# -- two inputs ------------------------------------------------------------------------------


@every_activation
@pytest.mark.parametrize("name", DUAL)
def test_kernels_are_the_integrals(phi, name):
    """Closed form against quadrature; quadrature against mpmath is in test_gaussian."""
    q1, q2, c = 1.3, 0.6, np.array([-1.0, -0.7, 0.999])
    found = getattr(phi, name)(q1, q2, c)
    truth = getattr(without_formulas(phi), name)(q1, q2, c)
    assert found == pytest.approx(truth, rel=1e-9, abs=1e-13)
    assert found.shape == c.shape


@pytest.mark.slow
@every_activation
@pytest.mark.parametrize("name", DUAL)
def test_kernels_against_mpmath_in_two_dimensions(phi, name):
    """The double integral at 20 digits, by an inner closed split at the kink."""
    f = phi.expression if name == "kernel" else integrand(phi, "derivative_mean")
    call = sp.lambdify(X, f, "mpmath")
    c, q1, q2 = -0.35, 0.9, 0.5
    with mpmath.workdps(20):
        node = [(mpmath.mpf(a), mpmath.mpf(w)) for a, w in legendre(14)]
        rest = mpmath.sqrt(1 - mpmath.mpf(c) ** 2)

        def integral(g, marks):
            total = mpmath.mpf(0)
            for low, high in pairwise(marks):
                half, middle = (high - low) / 2, (high + low) / 2
                total += half * sum(w * g(middle + half * a) for a, w in node)
            return total

        def panels(centre, spread):
            kinks = [(k - centre) / spread for k in phi.kinks]
            return sorted([-9, -3, 0, 3, 9, *(k for k in kinks if abs(k) < 9)])

        def inner(u):
            centre, spread = c * mpmath.sqrt(q2) * u, rest * mpmath.sqrt(q2)
            g = lambda v: call(centre + spread * v) * mpmath.npdf(v)  # noqa: E731
            return call(mpmath.sqrt(q1) * u) * mpmath.npdf(u) * integral(g, panels(centre, spread))

        truth = float(integral(inner, panels(mpmath.mpf(0), mpmath.sqrt(q1))))
    assert getattr(phi, name)(q1, q2, c) == pytest.approx(truth, rel=1e-9, abs=1e-11)


def legendre(order: int) -> list[tuple[float, float]]:
    return list(zip(*np.polynomial.legendre.leggauss(order), strict=True))


@every_activation
@pytest.mark.parametrize("name", DUAL)
def test_a_gap_is_the_correlation_it_stands_for(phi, name):
    q1, q2, c = 1.3, 0.6, np.array([-0.9, 0.1, 0.8])
    gap = (q1 + q2) / 2 - c * math.sqrt(q1 * q2)
    by_gap = getattr(phi, name)(q1, q2, gap=gap)
    assert by_gap == pytest.approx(getattr(phi, name)(q1, q2, c), rel=1e-11, abs=1e-14)


@every_activation
def test_price(phi):
    """d/dC E phi phi' = E phi'(z) phi'(z'): a finite difference of the kernel."""
    h, q1, q2, c = 1e-4, 1.3, 0.6, 0.3
    sides = [phi.kernel(q1, q2, c + h * step) for step in (-2, -1, 1, 2)]
    slope = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / (12 * h)
    slope /= math.sqrt(q1 * q2)
    assert slope == pytest.approx(phi.derivative_kernel(q1, q2, c), abs=2e-10)


CLOSED = {k: v for k, v in TABLE.items() if v.kernel_formula("derivative_kernel") is not None}


def exact_gap(phi: Activation, q1: float, q2: float, gap: float) -> float:
    """average of E phi^2 less the kernel, at 50 digits, by the formula in the table."""
    with mpmath.workdps(50):
        a, b = mpmath.mpf(q1), mpmath.mpf(q2)

        def kernel(a, b, missing):
            cosine = 1 - missing
            values = {
                Q1: a,
                Q2: b,
                C: mpmath.sqrt(a * b) * cosine,
                THETA: mpmath.acos(cosine),
                SINE: mpmath.sqrt(missing * (2 - missing)),
            }
            f = sp.lambdify(tuple(values), phi.kernel_formula("kernel"), "mpmath")
            return f(*values.values())

        ray = (mpmath.sqrt(a) - mpmath.sqrt(b)) ** 2 / 2
        missing = (mpmath.mpf(gap) - ray) / mpmath.sqrt(a * b)
        average = (kernel(a, a, mpmath.mpf(0)) + kernel(b, b, mpmath.mpf(0))) / 2
        return float(average - kernel(a, b, missing))


@pytest.mark.parametrize("phi", CLOSED.values(), ids=CLOSED.keys())
@pytest.mark.parametrize("q", [1e-6, 1.0, 1e3])
def test_gaps_keep_nine_digits(phi, q):
    """From nearly opposite inputs down to a relative gap of 1e-12, at 50 digits.

    Near 2 the gap itself is given to an absolute rounding only.
    """
    for relative in (2 - 1e-9, 1.9, 1.0, 0.3, 1e-3, 1e-6, 1e-9, 1e-12):
        gap = q * relative
        truth = exact_gap(phi, q, q, gap)
        assert phi.gap(q, q, gap) == pytest.approx(
            truth, rel=1e-9, abs=4e-16 * q * (relative > 1.99)
        )


@every_activation
def test_gaps_of_unequal_variances(phi):
    q1, q2, gap = 1.3, 0.6, np.array([0.3, 1.0, 1.7])
    average = (phi.second_moment(q1) + phi.second_moment(q2)) / 2
    assert phi.gap(q1, q2, gap) == pytest.approx(average - phi.kernel(q1, q2, gap=gap), rel=1e-9)
    at_ray = ray_gap(np.array(q1), np.array(q2))
    plain = without_formulas(phi).gap(q1, q2, at_ray)
    assert phi.gap(q1, q2, at_ray) == pytest.approx(plain, rel=1e-9)


@every_activation
def test_small_gaps_without_a_closed_form(phi):
    """(z - z')^2 E phi'^2 to leading order; the quadrature of the difference keeps it."""
    gap = 1e-12
    truth = gap * phi.derivative_second_moment(1.0)
    assert without_formulas(phi).gap(1.0, 1.0, gap) == pytest.approx(truth, rel=1e-5)
    assert phi.gap(1.0, 1.0, gap) == pytest.approx(truth, rel=1e-5)


def test_one_panel_is_not_enough(monkeypatch):
    """A planted fault: without the shrinking panels the erf gap at large q is wrong."""
    phi = get("erf")

    def one_panel(self, q1, q2, theta):
        node, weight = gaussian.legendre_unit(24)
        return theta[..., None] * node, theta[..., None] * weight

    monkeypatch.setattr(Activation, "_path", one_panel)
    assert phi.gap(1e3, 1e3, 1e3) != pytest.approx(exact_gap(phi, 1e3, 1e3, 1e3), rel=1e-9)


def test_pairs_of_variances():
    q1, q2 = np.array([4.0, 0.0, 0.0]), np.array([1.0, 2.0, 0.0])
    assert ray_gap(q1, q2) == pytest.approx([0.5, 1.0, 0.0])
    assert deficit(q1, q2, np.array([0.5, 1.0, 0.0])) == pytest.approx([0.0, 0.0, 0.0])
    assert deficit(4.0, 1.0, 2.5) == pytest.approx(1.0)


# -- symbols ---------------------------------------------------------------------------------


@every_activation
@pytest.mark.parametrize("name", SINGLE)
def test_symbols_give_the_formula_of_the_number(phi, name):
    q = sp.Symbol("q", positive=True)
    formula = getattr(phi, name)(q)
    at = formula.subs(q, sp.Rational(3, 2))
    if isinstance(at, sp.Integral):
        f = sp.lambdify(at.variables, at.function, ["scipy", "numpy"])
        number, _ = integrate.quad(f, -12, 12, points=[0.0], epsabs=1e-13, limit=200)
    else:
        number = float(sp.N(at, 15))
    assert number == pytest.approx(float(getattr(phi, name)(1.5)), rel=1e-9, abs=1e-13)


@every_activation
@pytest.mark.parametrize("name", DUAL)
def test_symbolic_kernels(phi, name):
    c = sp.Symbol("c", real=True)
    if phi.kernel_formula(name) is None:
        with pytest.raises(ValueError, match=f"{phi.name} has no closed-form {name}; give numbers"):
            getattr(phi, name)(Q1, Q2, c)
        return
    values = {Q1: sp.Rational(13, 10), Q2: sp.Rational(3, 5), c: sp.Rational(2, 5)}
    formula = sp.sympify(getattr(phi, name)(Q1, Q2, c))
    truth = getattr(phi, name)(1.3, 0.6, 0.4)
    assert float(formula.subs(values)) == pytest.approx(float(truth), rel=1e-12)
    gap = sp.Symbol("g", positive=True)
    by_gap = sp.sympify(getattr(phi, name)(Q1, Q2, gap=gap))
    missing = (Q1 + Q2) / 2 - c * sp.sqrt(Q1 * Q2)
    assert float(by_gap.subs(gap, missing).subs(values)) == pytest.approx(float(truth), rel=1e-12)


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


# -- composition -----------------------------------------------------------------------------

COMPOSITES: dict[str, tuple[Activation, Callable]] = {
    "relu of tanh": (get("relu").of(get("tanh")), lambda z: np.maximum(np.tanh(z), 0)),
    "tanh of relu": (get("tanh").of(get("relu")), lambda z: np.tanh(np.maximum(z, 0))),
    "relu of gelu": (get("relu").of(get("gelu")), lambda z: np.where(z > 0, get("gelu")(z), 0)),
    "relu of sin": (get("relu").of(get("sin")), lambda z: np.maximum(np.sin(z), 0)),
    "identity plus relu": (get("identity").plus(get("relu")), lambda z: z + np.maximum(z, 0)),
    "0.8 abs": (get("abs").times(0.8), lambda z: 0.8 * np.abs(z)),
    "relu of shifted": (get("relu").of(custom("", X - 1)), lambda z: np.maximum(z - 1, 0)),
}


@pytest.mark.parametrize("label", COMPOSITES)
def test_compositions(label):
    """Values, and second moments to ten digits: a kink that is lost costs more than that."""
    phi, plain = COMPOSITES[label]
    z = np.linspace(-3, 3, 61)
    assert phi(z) == pytest.approx(plain(z), rel=1e-13, abs=1e-14)
    assert phi.homogeneous == np.allclose(plain(2 * z), 2 * plain(z))
    for q in (2.0,):
        reach = np.linspace(-12 * math.sqrt(q), 12 * math.sqrt(q), 200_001)
        marks = sorted({-12.0 * math.sqrt(q), 12.0 * math.sqrt(q), *phi.kinks})
        marks = [m for m in marks if abs(m) <= 12 * math.sqrt(q)]
        truth = 0.0
        node, weight = np.polynomial.legendre.leggauss(120)
        for low, high in pairwise(marks):
            x = (high + low) / 2 + (high - low) / 2 * node
            density = np.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)
            truth += (high - low) / 2 * np.sum(weight * plain(x) ** 2 * density)
        assert phi.second_moment(q) == pytest.approx(truth, rel=1e-9)
        rough = np.trapezoid(plain(reach) ** 2 * np.exp(-(reach**2) / (2 * q)), reach)
        assert truth == pytest.approx(rough / math.sqrt(2 * math.pi * q), rel=1e-6)


def test_the_identity_composes_to_the_other():
    relu = get("relu")
    assert relu.of(get("identity")) is relu
    assert get("identity").of(relu) is relu


def test_roots_beyond_a_finite_list_are_found():
    kinks = get("relu").of(get("sin")).kinks
    assert [k for k in kinks if abs(k) < 7] == pytest.approx([k * math.pi for k in range(-2, 3)])
    assert module._real_roots(X**2 + 1) == []
    assert module._real_roots(X - sp.Rational(1, 3)) == pytest.approx([1 / 3])


def test_custom_takes_any_symbol():
    t = sp.Symbol("t", positive=True)
    assert custom("cube", t**3)(2.0) == 8.0
    assert custom("cube", t**3) == custom("cube", X**3)
    assert custom("one", sp.Integer(1)).second_moment(np.array([1.0, 2.0])) == pytest.approx([1, 1])


# -- names -----------------------------------------------------------------------------------


@every_activation
def test_activations_are_values(phi):
    again = pickle.loads(pickle.dumps(phi))
    assert again == phi and hash(again) == hash(phi)
    assert again.second_moment(Q) == phi.second_moment(Q)
    assert len({phi, again}) == 1


@pytest.mark.parametrize("label", ACTIVATIONS)
def test_names_read_back(label):
    assert get(label) is not None
    assert get(str(get(label))) == get(label)
    assert get(get(label)) == get(label)


def test_parameters_of_names():
    assert get("leaky_relu(0.2)") == get("leaky_relu", a=0.2)
    assert get("leaky_relu", a=0.2) != get("leaky_relu", a=0.1)
    assert str(get("leaky_relu", a=0.2)) == "leaky_relu(0.2)"
    for a in (0.1, 1 / 3, math.sqrt(0.05), 0.123456789012345):
        phi = get("leaky_relu", a=a)
        assert phi.arguments == (a,)
        assert phi(-1.0) == pytest.approx(-a, rel=1e-15)


def test_messages():
    with pytest.raises(ValueError, match=r"unknown activation 'rel'; did you mean 'relu'\?"):
        get("rel")
    with pytest.raises(ValueError, match=r"known: identity, relu, .*custom_activation"):
        get("nothing like it")
    with pytest.raises(ValueError, match="relu takes no parameter; got a"):
        get("relu", a=0.1)
    with pytest.raises(ValueError, match="leaky_relu takes a; got slope"):
        get("leaky_relu", slope=0.1)
    with pytest.raises(ValueError, match="kernel takes the correlation c or the gap, exactly one"):
        get("relu").kernel(1.0, 1.0)
    with pytest.raises(ValueError, match="exactly one"):
        get("relu").kernel(1.0, 1.0, 0.5, gap=0.5)
    with pytest.raises(ValueError, match=r"a correlation lies in \[-1, 1\]; got 1.5"):
        get("relu").kernel(1.0, 1.0, -1.5)
    with pytest.raises(ValueError, match="has no torch function, so it cannot be simulated"):
        torch_function(custom("cube", X**3))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: get("leaky_relu(x)"), "parameter of leaky_relu must be a number, got 'x'"),
        (lambda: get("leaky_relu(1,2)"), "must be a number, got '1,2'"),
        (lambda: get("relu(1)"), r"relu takes no parameter; got 'relu\(1\)': write 'relu'"),
        (lambda: get("relu").second_moment(-1.0), "variance q must be at least 0, got -1.0"),
        (lambda: get("tanh").kernel(-1.0, 1.0, 0.5), "variance q must be at least 0"),
        (lambda: custom("square", "x**2"), r"must be a SymPy expression .* got 'x\*\*2'"),
        (lambda: custom("two", sp.Symbol("u") * sp.Symbol("v")), "must have one symbol, got u, v"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kinks_of_a_custom_activation_are_found():
    """relu and hard tanh written by hand, with no kink named, against their table and mpmath."""
    x = sp.Symbol("t")
    hand = custom("mine", sp.Max(x, 0))
    assert hand.kinks == (0.0,)
    assert hand.mean(1.3) == pytest.approx(get("relu").mean(1.3), rel=1e-13)
    hard = custom("hard tanh", sp.Piecewise((-1, x < -1), (1, x > 1), (x, True)))
    assert hard.kinks == (-1.0, 1.0)


def test_a_false_claim_of_homogeneity_is_refused():
    with pytest.raises(ValueError, match="not homogeneous"):
        custom("t", sp.tanh(sp.Symbol("t")), homogeneous=True)
