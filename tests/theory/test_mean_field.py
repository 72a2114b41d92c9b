"""The mean field against mpmath at 30 digits, brute iteration, and published numbers."""

import mpmath
import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import X, custom, get
from varprop.theory.meanfield import limits
from varprop.theory.meanfield.fixed_points import VarianceMap, fixed_points

CASES = [
    ("tanh", 1.69, 0.09),
    ("tanh", 25 / 9, 0.0),
    ("erf", 1.5, 0.1),
    ("sigmoid", 1.0, 0.0),
    ("sin", 2.0, 0.0),
    ("gelu", 1.5, 0.2),
    ("silu", 1.9, 0.3),
    ("relu", 1 / 3, 0.01),
]


def mpmath_moments(name: str, q: float) -> tuple[float, float, float]:
    """E phi^2, E phi'^2 and d E phi^2/dq = E phi^2 (Z^2 - 1)/(2 q), without derivatives."""
    phi = get(name)
    value, slope = (sp.lambdify(X, e, "mpmath") for e in (phi.expression, phi.derivative))
    with mpmath.workdps(30):
        root, marks = mpmath.sqrt(q), [-13, -6, -3, -1, 0, 1, 3, 6, 13]

        def mean(f):
            return float(mpmath.quad(lambda u: f(u) * mpmath.npdf(u), marks))

        return (
            mean(lambda u: value(root * u) ** 2),
            mean(lambda u: slope(root * u) ** 2),
            mean(lambda u: value(root * u) ** 2 * (u**2 - 1) / (2 * q)),
        )


@pytest.mark.parametrize(("name", "weight", "bias"), CASES)
def test_fixed_point_and_factors_by_independent_integrals(name, weight, bias):
    field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
    second, slope, rise = mpmath_moments(name, field.fixed_point)
    assert weight * second + bias == pytest.approx(field.fixed_point, rel=1e-11)
    assert field.chi_perp == pytest.approx(weight * slope, rel=1e-11)
    assert field.chi_parallel == pytest.approx(weight * rise, rel=1e-9)


@pytest.mark.parametrize(("name", "weight", "bias"), CASES)
@pytest.mark.parametrize("extra", [{}, {"keep": 0.9}, {"skip": 0.6}])
def test_the_fixed_point_is_where_iteration_goes(name, weight, bias, extra):
    field = vp.mean_field(name, weight_variance=0.6 * weight, bias_variance=bias + 0.02, **extra)
    last = field.iterate(field.start, 400)[-1]
    assert field.stability == "stable"
    assert last == pytest.approx(field.fixed_point, rel=1e-9)


def test_iteration_is_vectorised():
    field = vp.mean_field("tanh", weight_variance=1.7, bias_variance=0.1)
    q = field.iterate(np.array([0.1, 1.0, 3.0]), 5)
    assert q.shape == (6, 3)
    one = 3.0
    for _ in range(5):
        one = 1.7 * float(get("tanh").second_moment(one)) + 0.1
    assert q[-1, 2] == pytest.approx(one, rel=1e-13)


@pytest.mark.parametrize(
    ("name", "weight", "bias", "expected"),
    [
        ("tanh", 4.0, 0.0, ["unstable", "stable"]),
        ("tanh", 0.8, 0.0, ["stable"]),
        ("tanh", 1.0, 0.0, ["stable"]),
        ("gelu", 3.3, 0.004, ["stable", "unstable", "stable"]),
        ("gelu", 1.983058257437547, 0.17292239075606735, ["stable", "half-stable from above"]),
        ("silu", 1.9880046782694918, 0.5551431707215304, ["half-stable from below", "stable"]),
        ("relu", 3.0, 0.0, ["unstable", "stable"]),
        ("relu", 2.0, 0.0, ["neutral"]),
    ],
)
def test_all_fixed_points(name, weight, bias, expected):
    field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
    assert [p.stability for p in field.fixed_points] == expected


def test_fixed_points_of_a_map_with_known_roots():
    """q' - q = -q (q - 1)(q - 1.001)(q - 5)^2 / 50: close roots, and a double one."""

    def excess(q):
        return -(q - 1) * (q - 1.001) * (q - 5) ** 2 / 50

    def slope(q):
        h = 1e-6 * q
        return 1 + ((q + h) * excess(q + h) - (q - h) * excess(q - h)) / (2 * h)

    F = VarianceMap(lambda q: q + q * excess(q), slope, 0.0, 1 - 25 * 1.001 / 50, 0.0)
    found = fixed_points(F)
    assert [p.q for p in found] == pytest.approx([0, 1, 1.001, 5], rel=1e-5)
    kinds = ["stable", "unstable", "stable", "half-stable from above"]
    assert [p.stability for p in found] == kinds


def test_the_start_decides_between_two_stable_fixed_points():
    kind = {"weight_variance": 3.3, "bias_variance": 0.004}
    low = vp.mean_field("gelu", **kind, start=0.05)
    assert low.fixed_point == pytest.approx(0.0311748914797, rel=1e-9) and low.phase == "ordered"
    assert vp.mean_field("gelu", **kind, start=0.2).phase == "divergent"


@pytest.mark.parametrize(
    ("name", "weight", "bias", "numbers"),
    [  # published, or checked by others
        ("tanh", 1.69, 0.09, (0.607047, 0.939807, 16.108)),
        ("tanh", 25 / 9, 0.0, (1.1785, 1.2098, None)),
        ("sigmoid", 1.0, 0.0, (0.2647, 0.0557, None)),
        ("sin", 2.0, 0.0, (0.7968, 1.2032, None)),
    ],
)
def test_published_numbers(name, weight, bias, numbers):
    field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
    star, chi, scale = numbers
    assert field.fixed_point == pytest.approx(star, abs=6e-5)
    assert field.chi_perp == pytest.approx(chi, abs=6e-5)
    assert scale is None or field.depth_scale_c == pytest.approx(scale, abs=6e-4)


def test_siren_has_lambert_w():
    """sin at sigma_w^2 = 2: q = 1 - exp(-2 q), so q* = 1 + W(-2 exp(-2))/2."""
    field = vp.mean_field("sin", weight_variance=2.0)
    exact = 1 + float(mpmath.lambertw(-2 * mpmath.exp(-2)).real) / 2
    assert field.fixed_point == pytest.approx(exact, rel=1e-13)


# -- correlation -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "weight", "bias"), CASES)
@pytest.mark.parametrize("keep", [1, 0.8])
def test_the_correlation_map_in_plain_correlations(name, weight, bias, keep):
    """c' = (w K(c) + b)/q', K by the kernel: fine where 1 - c is not small."""
    field = vp.mean_field(name, weight_variance=weight * keep, bias_variance=bias, keep=keep)
    q, c = field.fixed_point, np.array([0.0, 0.3, 0.9])
    expected = (weight * keep * get(name).kernel(q, q, c) + bias) / q
    assert 1 - field.correlation_map(1 - c) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tanh", {"weight_variance": 2.5, "bias_variance": 0.05}),
        ("erf", {"weight_variance": 4.0, "bias_variance": 0.3}),
        ("relu", {"weight_variance": 1.8, "keep": 0.9}),
        ("tanh", {"weight_variance": 1.0, "bias_variance": 0.1, "skip": 0.9}),
        ("tanh", {"weight_variance": 1.2, "bias_variance": 0.1}),
    ],
)
def test_the_correlation_fixed_point_is_where_iteration_goes(name, kind):
    field = vp.mean_field(name, **kind)
    layers = int(25 * field.depth_scale_c) + 5
    last = field.iterate_correlation(np.array([0.05, 0.9]), layers)[-1]
    assert last == pytest.approx(field.correlation_deficit, rel=1e-7, abs=1e-9)
    h = 1e-6
    if field.correlation_deficit > 0:
        ends = field.correlation_map(field.correlation_deficit + np.array([-h, h]))
        assert np.diff(ends) / (2 * h) == pytest.approx(field.chi_correlation, rel=1e-6)


@pytest.mark.parametrize(("keep", "star"), [(0.9, 0.627146), (0.8, 0.472799)])
def test_dropout_moves_the_correlation_from_one(keep, star):
    field = vp.mean_field("relu", weight_variance=2 * keep, keep=keep)
    assert field.correlation_fixed_point == pytest.approx(star, abs=5e-7)
    assert field.chi_parallel == pytest.approx(1, abs=1e-15)


def test_near_the_critical_line_the_deficit_keeps_its_digits():
    """c* of a smooth chaotic phase: 1 - c* ~ (chi - 1) kappa, far below the rounding of c."""
    line = vp.critical_line("erf", 0.05)
    field = vp.mean_field("erf", weight_variance=line * (1 + 1e-7), bias_variance=0.05)
    (law,) = vp.power_laws(vp.mean_field("erf", weight_variance=line, bias_variance=0.05))
    assert field.correlation_deficit == pytest.approx((field.chi_perp - 1) * law.constant, rel=1e-4)


def test_what_vanishes_and_what_diverges_uses_the_slopes_at_the_ends():
    assert np.isnan(vp.mean_field("tanh", weight_variance=0.5).correlation_deficit)
    assert vp.mean_field("gelu", weight_variance=3.0).correlation_deficit == 0
    elu = custom("elu", sp.Max(X, 0) + 2 * (sp.exp(sp.Min(X, 0)) - 1), (0.0,))
    assert limits.at_zero(elu)[1] == limits.Ends(1.0, 2.0)
    assert limits.far_away(elu) == limits.Ends(1.0, 0.0)
    assert limits.far_away(custom("cube", X**3)) is None
    field = vp.mean_field(elu, weight_variance=0.3)
    assert field.fixed_point == 0 and field.chi_perp == pytest.approx(0.3 * 2.5)
    mirrored = limits.Ends(0.0, -1.0)
    assert mirrored.gap(np.array(0.3)) == pytest.approx(get("relu").gap(1.0, 1.0, 0.3))


def test_a_cubic_activation_diverges_or_vanishes_by_its_start():
    cube = custom("cube", X**3)
    small = vp.mean_field(cube, weight_variance=1.0, start=0.1)
    large = vp.mean_field(cube, weight_variance=1.0, start=1.0)
    assert (small.fixed_point, large.fixed_point) == (0.0, np.inf)
    with pytest.raises(ValueError, match=r"grows faster than linearly .* lower the weight"):
        _ = large.correlation_deficit


# -- symbols, tables, messages ---------------------------------------------------------------


def test_symbols_give_formulas():
    n, w = sp.symbols("n w", positive=True)
    torch_default = vp.mean_field(
        "relu", weight_variance=sp.Rational(1, 3), bias_variance=1 / (3 * n)
    )
    assert sp.simplify(torch_default.fixed_point - 2 / (5 * n)) == 0
    assert vp.mean_field("leaky_relu", weight_variance=w).chi_perp.has(w)
    erf = vp.mean_field("erf", weight_variance=w)
    q = sp.Symbol("q", positive=True)
    assert sp.simplify(erf.chi_perp_at(q) - 4 * w / sp.pi / sp.sqrt(1 + 4 * q)) == 0
    assert list(torch_default.frame()["quantity"]) == ["fixed_point", "chi_parallel", "chi_perp"]
    assert "weight variance w" in str(erf)
    with pytest.raises(ValueError, match=r"no closed form in symbols; give numbers, or use"):
        _ = erf.fixed_point


def test_as_a_result():
    field = vp.mean_field("tanh", weight_variance=1.69, bias_variance=0.09)
    table = field.frame().set_index("quantity")["value"]
    assert table["phase"] == "ordered" and table["fixed_point"] == field.fixed_point
    assert "ordered, q* = 0.607047" in str(field)
    assert "ordered" in field.to_json()
    for quantity in ("correlation", "variance"):
        (line, *_) = field.plot(quantity).lines
        assert len(line.get_xdata()) > 100
    with pytest.raises(ValueError, match="plots 'correlation' or 'variance', got 'ntk'"):
        field.plot("ntk")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ({"weight_variance": 0.0}, r"weight_variance must be .* above 0, .* got 0.0; it is fan_in"),
        ({"weight_variance": -sp.Integer(1)}, "weight_variance must be .* above 0, .* got -1"),
        ({"weight_variance": np.nan}, "weight_variance must be .* above 0, .* got nan"),
        (
            {"weight_variance": 1.0, "bias_variance": -1.0},
            "bias_variance must be .* of at least 0, .* got -1",
        ),
        (
            {"weight_variance": 1.0, "keep": 0.0},
            "keep must be .* above 0 and at most 1, .* got 0.0",
        ),
        (
            {"weight_variance": 1.0, "start": 0.0},
            "start must be .* above 0, got 0.0; it is the variance q_0",
        ),
        (
            {"weight_variance": np.ones(2)},
            r"a finite .* got an array of shape \(2,\); .* use phase",
        ),
    ],
)
def test_bad_input_is_named(kind, message):
    with pytest.raises(ValueError, match=message):
        vp.mean_field("tanh", **kind)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vp.mean_field("tanh", weight_variance="1"), "weight_variance must be .*, got '1'"),
        (lambda: vp.mean_field("tanh", weight_variance=1, skip="a"), "skip must be a finite numb"),
        (lambda: vp.mean_field("tanh", weight_variance=1, start=None), "start must be .* got None"),
        (
            lambda: vp.critical_line("tanh", "a"),
            "bias_variance must be .* at least 0, got 'a'; it is",
        ),
        (
            lambda: vp.critical_line("tanh", sp.Symbol("b")),
            "a finite number of at least 0, got b; it is Var",
        ),
        (lambda: vp.phase_diagram("tanh", "ab", [0.1]), "weight_variances must be .* got 'ab'"),
        (lambda: vp.phase_diagram("tanh", [1.0], [0.1], skip=np.nan), "skip must be a finite"),
        (lambda: vp.gain("tanh", q="1"), "q = E z.2 must be a finite number above 0, got '1'"),
        (lambda: vp.gain("tanh", q=sp.Symbol("q")), "got q; substitute numbers"),
        (lambda: vp.gain_table("a"), "q = E z.2 must be a finite number above 0, got 'a'"),
        (lambda: vp.power_laws("tanh"), "power laws are of a mean field, got 'tanh'"),
    ],
)
def test_what_is_no_number_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["exp", "monomial", "relu", "gelu"])
def test_a_diverging_variance_can_be_printed(name):
    field = vp.mean_field(name, weight_variance=10.0, bias_variance=0.1)
    assert field.fixed_point == np.inf and "divergent, q* = inf" in repr(field)
    table = field.frame().set_index("quantity")["value"]
    assert table["phase"] == "divergent" and "q* = inf" in field._repr_html_()
    assert ("correlation_fixed_point" in table) == (name in ("relu", "gelu"))
    assert "inf" in field.to_json()


def test_the_mean_field_of_sign_can_be_printed():
    """E phi'^2 is infinite, yet correlations have a map: c' = (2/pi) asin c, with c* = 0."""
    field = vp.mean_field("sign", weight_variance=1.0)
    table = field.frame().set_index("quantity")["value"]
    assert "chi_perp" not in table and table["correlation_fixed_point"] == 0
    biased = vp.mean_field("sign", weight_variance=1.0, bias_variance=0.3)
    c = biased.correlation_fixed_point
    assert 1.3 * c == pytest.approx(2 / np.pi * np.arcsin(c) + 0.3, rel=1e-12)
    slope = 2 / np.pi / np.sqrt(1 - c**2) / 1.3
    assert biased.chi_correlation == pytest.approx(slope, rel=1e-8)
    assert biased._pair.slope(np.array([0.0, 0.5]))[0] == np.inf


def test_a_fixed_point_far_above_the_grid_is_found():
    """tanh^2 < 1, so q* lies between the bias variance and that plus the weight variance."""
    field = vp.mean_field("tanh", weight_variance=1.5, bias_variance=1e10)
    assert 1e10 < field.fixed_point <= 1e10 + 1.5
    assert field.stability == "stable" and field.phase == "ordered"


def test_where_rounding_decides_the_first_step_a_fixed_point_is_reached():
    """relu6 is ReLU up to 6 roots of q = 0.5, so F(q) - q is below rounding; above, F(q) < q."""
    field = vp.mean_field("relu6", weight_variance=2.0, start=0.5)
    assert field.fixed_point == 0 and field.stability == "stable"


@pytest.mark.parametrize(
    ("phi", "weight"),
    [(X * sp.cos(X), 1.0), (X + sp.sin(X) ** 2, 0.5), (sp.log(1 + X**2), 1.0)],
    ids=str,
)
def test_a_stack_is_solved_where_quadrature_holds(phi, weight):
    """Far or tiny variances that no quadrature reaches do not hide the fixed point of the stack."""
    field = vp.mean_field(custom("own", phi), weight_variance=weight, bias_variance=0.1)
    assert field.fixed_point == pytest.approx(field.iterate(1.0, 200)[-1], rel=1e-9)
    line = vp.critical_line(custom("wave", X * sp.cos(X)), 0.1)
    at = vp.mean_field(custom("wave", X * sp.cos(X)), weight_variance=line, bias_variance=0.1)
    assert at.chi_perp == pytest.approx(1.0, rel=1e-9)


def test_a_divergent_wave_has_no_limit_of_gradients():
    """E (1 + sin 2z)^2 goes to 3/2, not to the square of the slope of phi(z)/z."""
    field = vp.mean_field(custom("snake", X + sp.sin(X) ** 2), weight_variance=2.0)
    assert field.fixed_point == np.inf
    assert field.chi_perp_at(1e3) == pytest.approx(3.0, rel=1e-9)
    with pytest.raises(ValueError, match=r"no limit far from 0.*chi_perp_at"):
        _ = field.chi_perp


def test_a_map_that_no_quadrature_reaches_says_why():
    with pytest.raises(ValueError, match="the quadrature of second_moment of comb"):
        _ = vp.mean_field(custom("comb", sp.sin(10**15 * X) * X), weight_variance=1.0).fixed_point
