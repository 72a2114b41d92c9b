"""Critical lines and points, power laws, phase diagrams, residual stacks."""

import time

import mpmath
import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import ACTIVATIONS, X, custom, get
from varprop.theory.meanfield import critical_points, tabulate

hard_tanh = custom("hard_tanh", sp.Max(-1, sp.Min(1, X)))


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "sigmoid"])
@pytest.mark.parametrize("bias", [1e-7, 0.05, 1.0])
def test_on_the_critical_line_gradients_keep_their_size(name, bias):
    weight = vp.critical_line(name, bias)
    field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
    assert field.chi_perp == pytest.approx(1, abs=1e-9)
    assert field.phase == "critical" and field.chi_parallel < 1
    assert vp.critical_bias(name, weight) == pytest.approx(bias, rel=1e-6)


def test_published_points():
    assert vp.critical_line("tanh", 0.05) == pytest.approx(1.760955, abs=5e-7)
    assert vp.critical_bias("tanh", 1.05) == pytest.approx(2.0105e-5, abs=5e-10)
    assert vp.critical_line("sigmoid", 0.0) ** 0.5 == pytest.approx(10.149, abs=5e-4)
    assert vp.critical_line("relu", 0.0) == pytest.approx(2, rel=1e-15)
    lines = vp.critical_line("tanh", [0.0, 0.05])
    assert lines.shape == (2,) and lines[0] == 1


def test_the_line_of_erf_in_closed_form():
    q = np.array([0.01, 0.5, 3.0])
    bias = q - np.sqrt(1 + 4 * q) / 2 * np.arcsin(2 * q / (1 + 2 * q))
    assert vp.critical_line("erf", bias) == pytest.approx(np.pi / 4 * np.sqrt(1 + 4 * q), rel=1e-11)


def test_small_fixed_points_of_tanh():
    """sigma_w^2 = 1 + 2 q, sigma_b^2 = (4/3) q^3 to leading order."""
    q = 1e-3
    assert vp.critical_line("tanh", 4 / 3 * q**3) == pytest.approx(1 + 2 * q, abs=2e-5)


@pytest.mark.parametrize(
    ("name", "weight", "bias", "star"),
    [  # Roberts, Yaida & Hanin (2022)
        ("gelu", 1.98305826, 0.17292239, (3 + 17**0.5) / 2),
        ("silu", 1.98800468, 0.55514317, 14.32017362),
        ("tanh", 1.0, 0.0, 0.0),
        ("sin", 1.0, 0.0, 0.0),
    ],
)
def test_stricter_criticality(name, weight, bias, star):
    point = vp.critical_point(name)
    assert point.weight_variance == pytest.approx(weight, abs=5e-9)
    assert point.bias_variance == pytest.approx(bias, abs=5e-9)
    assert point.fixed_point == pytest.approx(star, abs=5e-8)
    assert point.chi_parallel == pytest.approx(1, abs=1e-12)


def test_the_critical_point_of_silu_by_mpmath():
    """E phi phi'' = 0 at 30 digits, phi'' written out, gives the point to 10 digits."""

    def swish(z):
        return z / (1 + mpmath.exp(-z))

    marks = [-13, -6, -3, -1, 0, 1, 3, 6, 13]

    def mean(f, q):
        return mpmath.quad(lambda u: f(mpmath.sqrt(q) * u) * mpmath.npdf(u), marks)

    def bend(z):
        s = 1 / (1 + mpmath.exp(-z))
        return s * (1 - s) * (2 + z * (1 - 2 * s))

    def slope(z):
        s = 1 / (1 + mpmath.exp(-z))
        return s + z * s * (1 - s)

    with mpmath.workdps(20):
        q = mpmath.findroot(lambda q: mean(lambda z: swish(z) * bend(z), q), (14, 15))
        weight = 1 / mean(lambda z: slope(z) ** 2, q)
        bias = q - weight * mean(lambda z: swish(z) ** 2, q)
    point = vp.critical_point("silu")
    assert point.weight_variance == pytest.approx(float(weight), rel=1e-10)
    assert point.bias_variance == pytest.approx(float(bias), rel=1e-10)


def test_activations_without_a_point_say_why():
    softplus = custom("softplus", sp.log(1 + sp.exp(-sp.Abs(X))) + sp.Max(X, 0))
    for phi, sign in ((softplus, "positive"), (get("sigmoid"), "negative")):
        assert critical_points(phi) == ()
        with pytest.raises(ValueError, match=f"E phi phi'' is {sign} at every q > 0; use crit"):
            vp.critical_point(phi)
    with pytest.raises(ValueError, match="no weight variance makes softplus critical"):
        vp.critical_line(softplus, 0.0)
    with pytest.raises(ValueError, match=r"no weight variance makes relu critical at bias_var"):
        vp.critical_line("relu", 0.1)
    with pytest.raises(ValueError, match="no bias variance makes tanh critical at weight_variance"):
        vp.critical_bias("tanh", 0.9)
    with pytest.raises(
        ValueError, match="bias_variance must be a finite number of at least 0, got -1"
    ):
        vp.critical_line("tanh", -1.0)
    with pytest.raises(ValueError, match="weight_variance must be a finite number above 0, got 0"):
        vp.critical_bias("tanh", 0.0)


@pytest.mark.parametrize(("name", "bias"), [("exp", 0.1), ("gelu", 0.0), ("silu", 0.1)])
def test_a_fixed_point_that_repels_is_not_critical(name, bias):
    """Layers leave it: from 1 percent above, the variance of the refused point moves away."""
    with pytest.raises(ValueError, match=r"holds at q. = .* alone, which repels") as caught:
        vp.critical_line(name, bias)
    weight = float(str(caught.value).split("weight_variance = ")[1].split(",")[0])
    star = float(str(caught.value).split("q* = ")[1].split(" ")[0])
    field = vp.mean_field(name, weight_variance=weight, bias_variance=bias)
    assert field.chi_perp_at(max(star, 1e-9)) == pytest.approx(1, abs=1e-4)
    near = 1.01 * star + 1e-4
    with np.errstate(over="ignore"):
        assert field.iterate(near, 30)[-1] > 1.001 * near


# -- power laws ------------------------------------------------------------------------------


def test_relu_aligns_like_nine_pi_squared_over_two_l_squared():
    """The recurrence in the angle by mpmath, 10^5 layers at 20 digits of the exact kernel."""
    field = vp.mean_field("relu", weight_variance=2.0)
    (law,) = vp.power_laws(field)
    assert law[:2] == ("1 - correlation", -2.0)
    assert law.constant == pytest.approx(9 * np.pi**2 / 2)
    e, layers = 0.5, 20_000
    for _ in range(layers):  # e' = e - (sin t - t cos t)/pi, in series where it cancels
        t = 2 * np.arcsin(np.sqrt(e / 2))
        lost = np.sin(t) - t * np.cos(t) if t > 0.05 else t**3 / 3 * (1 - t**2 / 10 + t**4 / 280)
        e -= lost / np.pi
    assert e * layers**2 == pytest.approx(law.constant, rel=3e-3)
    some = field.iterate_correlation(0.5, 30)
    t = np.arccos(1 - some[:-1])
    assert some[1:] == pytest.approx(some[:-1] - (np.sin(t) - t * np.cos(t)) / np.pi, rel=1e-12)


@pytest.mark.parametrize("phi", [get("erf"), get("sigmoid"), get("leaky_relu", a=-0.5), hard_tanh])
def test_power_laws_of_alignment_by_one_small_step(phi):
    """1/e' - 1/e, or its square root, tends to the rate of the law as e goes to 0."""
    bias = 0.0 if phi.homogeneous else 0.05
    weight = vp.critical_line(phi, bias)
    field = vp.mean_field(phi, weight_variance=weight, bias_variance=bias)
    (law,) = vp.power_laws(field)
    root = -1 / law.exponent
    e = 1e-5 if root == 1 else 1e-7
    rate = field.correlation_map(e) ** -root - e**-root
    assert rate == pytest.approx(law.constant**-root, rel=2e-3)


@pytest.mark.parametrize(("name", "weight"), [("tanh", 1.0), ("sin", 1.0), ("erf", np.pi / 4)])
def test_power_laws_of_a_vanishing_variance(name, weight):
    field = vp.mean_field(name, weight_variance=weight)
    forward, backward, kept = vp.power_laws(field)
    q = field.iterate(1.0, 400)
    assert 1 / q[400] - 1 / q[200] == pytest.approx(200 / forward.constant, rel=0.02)
    chi = np.prod(field.chi_perp_at(q[201:]))
    assert np.log(chi) / np.log(2) == pytest.approx(backward.exponent, rel=0.02)
    assert (kept.quantity, kept.exponent) == ("1 - correlation", 0)


def test_there_are_no_power_laws_away_from_criticality():
    assert vp.power_laws(vp.mean_field("tanh", weight_variance=1.3, bias_variance=0.1)) == ()
    with pytest.raises(ValueError, match="power laws are for plain stacks of numbers"):
        vp.power_laws(vp.mean_field("relu", weight_variance=1.8, keep=0.9))


# -- phase diagrams --------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_a_phase_diagram_is_its_mean_fields(name, rng):
    weights, biases = np.linspace(0.1, 5, 23), np.linspace(0, 1, 17)
    if get(name).jumps:
        with pytest.raises(ValueError, match=r"a phase diagram needs E phi'.*jumps at.*; use mean"):
            vp.phase_diagram(name, weights, biases)
        with pytest.raises(
            ValueError, match=r"criticality, chi_perp = 1, needs E phi'.*; use gain"
        ):
            vp.critical_line(name, 0.1)
        return
    diagram = vp.phase_diagram(name, weights, biases, start=0.7)
    for i, j in [(0, 0), (22, 0), *rng.integers((23, 17), size=(4, 2))]:
        one = vp.mean_field(name, weight_variance=weights[i], bias_variance=biases[j], start=0.7)
        for what in ("fixed_point", "chi_parallel", "chi_perp"):
            found = getattr(diagram, what)[i, j]
            assert found == pytest.approx(getattr(one, what), rel=1e-8, abs=1e-10), (what, i, j)
        assert diagram.phase[i, j] == one.phase


def test_an_overflowing_variance_is_divergent():
    diagram = vp.phase_diagram("exp", [0.1, 5.0], [0.0, 1.0])
    field = vp.mean_field("exp", weight_variance=5.0, bias_variance=1.0)
    assert diagram.phase[1, 1] == field.phase == "divergent" and diagram.phase[0, 0] == "ordered"


def test_a_large_diagram_of_tanh_is_quick():
    start = time.process_time()
    diagram = vp.phase_diagram("tanh", np.linspace(0.02, 4, 200), np.linspace(0, 1, 200))
    assert time.process_time() - start < 5
    assert diagram.error < 1e-12
    line = vp.critical_line("tanh", diagram.bias_variances[[20, 150]])
    for j, weight in zip((20, 150), line, strict=True):
        chaotic = diagram.phase[:, j] == "chaotic"
        assert (chaotic == (diagram.weight_variances > weight)).all()


def test_a_diagram_is_a_result(rng):
    diagram = vp.phase_diagram("erf", [0.5, 1.5], [0.0, 0.1, 0.2])
    assert diagram.frame().shape == (6, 8) and "2 x 3" in str(diagram)
    assert diagram.plot().get_xlabel() == "weight variance"
    assert (diagram.depth_scale_gradient > 0).all() and (diagram.depth_scale_q > 0).all()
    with pytest.raises(ValueError, match="a phase diagram plots chi_perp, chi_parallel, fixed"):
        diagram.plot("ntk")
    with pytest.raises(ValueError, match=r"weight_variances must be .*above 0"):
        vp.phase_diagram("erf", [0.0], [0.0])
    with pytest.raises(ValueError, match="bias_variances must be one-dimensional and not empty"):
        vp.phase_diagram("erf", [1.0], [[0.0]])
    with pytest.raises(ValueError, match=r"keep must be .* above 0 and at most 1, got 0.0"):
        vp.phase_diagram("erf", [1.0], [0.0], keep=0.0)


def test_the_table_is_the_activation(rng):
    for name in ("tanh", "gelu"):
        phi, made = get(name), tabulate.table(get(name))
        q = 10 ** rng.uniform(-3, 4, 40)
        assert q * made.kept(q) == pytest.approx(phi.second_moment(q), rel=1e-11)
        assert made.rise(q) == pytest.approx(phi.second_moment_slope(q), rel=1e-9, abs=1e-11)


# -- residual stacks -------------------------------------------------------------------------


def test_a_closed_branch_doubles_and_an_open_one_does_more():
    closed = vp.residual_stack("relu", weight_variance=2.0, branch_variance=1.0)
    assert closed.iterate(1.0, 16).q[-1] == pytest.approx(2.0**16) and closed.growth() == 2
    opened = vp.residual_stack("relu", weight_variance=2.0)
    stream = opened.iterate(np.array([1.0, 3.0]), 60)
    assert stream.q.shape == (61, 2)
    assert stream.q[-1] / stream.q[-2] == pytest.approx(opened.growth(), rel=1e-9)
    assert opened.growth() == pytest.approx(2.9041, abs=5e-5)
    assert opened.chi_perp_at(0.7) == pytest.approx(2) and closed.chi_perp_at(0.7) == 2


@pytest.mark.parametrize(("blocks", "q"), [(16, 29), (64, 2367), (256, 1.9e7), (1024, 1.3e15)])
def test_one_over_root_depth_is_not_enough_for_branches_with_a_mean(blocks, q):
    stack = vp.residual_stack("relu", weight_variance=2.0, scale=blocks**-0.5)
    assert stack.iterate(1.0, blocks).q[-1] == pytest.approx(q, rel=0.04)


def test_the_residual_recursion_is_what_predict_says():
    """Two witnesses: the layers' own rules on the graph."""
    n, scale = 64, 0.7
    for closing in (True, False):
        net = vp.residual(n, 4, scale=scale, closing=closing)
        theory = vp.predict(net)
        branch = 1.0 if closing else None
        stack = vp.residual_stack("relu", weight_variance=2.0, branch_variance=branch, scale=scale)
        found = [theory.value(f"add_{k}", "second_moment")[0] for k in range(1, 5)]
        assert stack.iterate(1.0, 4).q[1:] == pytest.approx(found, rel=1e-12)


def test_growth_needs_a_homogeneous_activation():
    with pytest.raises(ValueError, match="only homogeneous activations without bias grow by a fac"):
        vp.residual_stack("tanh", weight_variance=1.0).growth()


def _stack(**changed):
    return vp.residual_stack("relu", **{"weight_variance": 2.0, **changed})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: _stack(weight_variance=float("nan")),
            "weight_variance must be .* above 0, .* nan",
        ),
        (lambda: _stack(weight_variance="a"), "weight_variance must be .* got 'a'; it is fan_in"),
        (lambda: _stack(bias_variance=-1), "bias_variance must be .* at least 0, .* got -1; it is"),
        (lambda: _stack(branch_variance=-1), "branch_variance must be .* got -1; .* None for a br"),
        (lambda: _stack(skip=float("inf")), "skip must be a finite number, .* got inf; it is the"),
        (lambda: _stack(scale="a"), "scale must be a finite number, .* got 'a'; it is the factor"),
        (lambda: _stack().iterate(1.0, -3), "depth must be .* of at least 0, got -3; it counts"),
        (lambda: _stack().iterate(np.array([1.0, -2.0]), 3), "q0 must be .* at least 0, .* got -2"),
        (
            lambda: _stack().iterate(1.0, 3, 1.5),
            r"squared mean must not exceed .* mean 1.5 and sec",
        ),
        (lambda: _stack().chi_perp_at(0), "q must be a finite number above 0, .* got 0; it is E x"),
        (lambda: _stack(weight_variance=sp.Symbol("w")).growth(), r"a root in numbers.*use step\("),
    ],
)
def test_a_residual_stack_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "weights", "extra"),
    [
        ("tanh", [0.7, 1.2, 2.5, 5.0], {}),
        ("tanh", [1.2, 2.5], {"keep": 0.9, "skip": 0.3}),
        ("erf", [0.7, 1.5, 6.0], {"skip": 0.5}),
        ("relu", [1.0, 2.0, 2.5], {}),
        ("leaky_relu", [1.0, 1.9], {"keep": 0.8}),
        ("identity", [0.5, 1.0], {}),
    ],
)
def test_a_diagram_has_the_correlations_of_its_mean_fields(name, weights, extra):
    """Interpolated in q and the angle, against the root of the map of each mean field."""
    diagram = vp.phase_diagram(name, weights, [0.0, 0.1, 0.8], **extra)
    for i, j in np.ndindex(diagram.fixed_point.shape):
        setting = {"weight_variance": weights[i], "bias_variance": diagram.bias_variances[j]}
        field = vp.mean_field(name, **setting, **extra)
        assert diagram.correlation_deficit[i, j] == pytest.approx(
            field.correlation_deficit, rel=1e-6, abs=1e-12, nan_ok=True
        ), setting
        assert diagram.chi_correlation[i, j] == pytest.approx(field.chi_correlation, rel=1e-6)


def test_the_correlations_of_a_large_diagram_of_tanh_are_quick():
    """40 000 cells."""
    diagram = vp.phase_diagram("tanh", np.linspace(0.05, 6, 200), np.linspace(0, 1, 200))
    start = time.process_time()
    ordered = (diagram.chi_perp < 1 - 1e-6) & (diagram.fixed_point > 0)
    assert (diagram.correlation_fixed_point[ordered] == 1).all()
    assert time.process_time() - start < 5
