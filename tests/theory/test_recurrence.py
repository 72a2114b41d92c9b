"""Recurrences in the depth against explicit stacks, brute iteration, and their own steps."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop import init
from varprop.layers import Layer
from varprop.moments import WIDE, Gradients, Moments
from varprop.theory import LAYER, MEAN, SECOND, START, recurrence
from varprop.theory.closed_form import solve_step

n, s, b, eta, e = sp.symbols("n sigma_w sigma_b eta epsilon", positive=True)
W, B = init.normal(variance=s**2 / n), init.normal(variance=b**2)
AT = {n: 7, s: sp.Rational(6, 5), b: sp.Rational(1, 3), eta: sp.Rational(4, 5)}


def stack(activation: str, bias: Any = None, depth: int = 1) -> vp.Network:
    return vp.mlp(n, depth, activation=activation, weights=W, bias=bias, output=None)


def branch(depth: int = 1, closing: bool = True) -> vp.Network:
    return vp.residual(n, depth, scale=eta, closing=closing)


STACKS = {  # a stack of any depth, and the nodes where its blocks end
    "linear": (lambda depth: stack("identity", B, depth), "identity"),
    "relu": (lambda depth: stack("relu", B, depth), "relu"),
    "relu, no bias": (lambda depth: stack("relu", None, depth), "relu"),
    "leaky": (lambda depth: stack("leaky_relu(0.25)", B, depth), "leaky_relu"),
    "residual": (branch, "add"),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_closed_form_is_what_the_explicit_stack_gives(name):
    build, node = STACKS[name]
    q = sp.Symbol("q_in", positive=True)
    found = recurrence(build(1))
    theory = vp.predict(build(4), q)
    for layer in (1, 2, 4):
        expected = theory.value(f"{node}_{layer}", "second_moment")[0]
        assert sp.simplify(found.solve(q, layer) - expected) == 0
    whole = theory.value("input", "grad_second_moment")[0]
    assert sp.simplify(found.solve_gradient(4) - whole) == 0


@pytest.mark.parametrize("name", STACKS)
def test_the_closed_form_satisfies_its_step_for_every_layer(name):
    found = recurrence(STACKS[name][0](1))
    solution = found.solve()
    assert sp.simplify(solution.subs(LAYER, 0) - START) == 0
    left = found.step.subs(SECOND, solution)
    assert sp.simplify(sp.powsimp(sp.expand(left - solution.subs(LAYER, LAYER + 1)))) == 0
    values = found.values(6, START)
    assert values.shape == (7,)
    assert sp.simplify(values[6] - solution.subs(LAYER, 6)) == 0


def test_pytorch_defaults_end_at_two_fifths_of_one_over_n():
    """q' = q/6 + 1/(3n) for pre-activations; a numeric network keeps exact fractions."""
    for width in (n, 256):
        graph = vp.Graph(width)
        x = graph.add(vp.Elementwise("relu"), graph.input)
        default = init.torch_default_weight(), init.torch_default_bias()
        graph.add(vp.Dense(width, width, *default), x)
        found = recurrence(graph.network())
        assert sp.simplify(found.step - SECOND / 6 - sp.Integer(1) / (3 * width)) == 0
        assert found.fixed_points == (sp.Integer(2) / (5 * width),)
        assert sp.limit(found.solve(), LAYER, sp.oo) == found.fixed_points[0]
        assert found.gradient == found.slope == sp.Rational(1, 6)


def test_kaiming_holds_every_q():
    found = recurrence(vp.mlp(300, 1, output=None))
    assert found.step == SECOND and found.solve() == START
    assert found.fixed_points == (SECOND,) and found.growth() == 1


def test_critical_linear_stack_with_bias_grows_linearly():
    graph = vp.Graph(n)
    graph.add(vp.Dense(n, n, init.normal(variance=1 / n), B), graph.input)
    found = recurrence(graph.network())
    assert sp.expand(found.solve() - START - b**2 * LAYER) == 0


def test_residual_with_the_scale_of_the_depth_tends_to_e():
    depth = sp.Symbol("L", positive=True, integer=True)
    found = recurrence(vp.residual(n, 1, scale=1 / sp.sqrt(depth)))
    assert sp.simplify(found.solve().subs(LAYER, depth) - START * (1 + 1 / depth) ** depth) == 0
    assert sp.limit(found.solve(1).subs(LAYER, depth), depth, sp.oo) == sp.E


def test_a_branch_that_ends_in_relu_is_a_system_in_q_and_mu():
    found = recurrence(branch(closing=False))
    assert sp.simplify(found.mean_step - MEAN - eta * sp.sqrt(SECOND / sp.pi)) == 0
    cross = 2 * eta * MEAN * sp.sqrt(SECOND / sp.pi)
    assert sp.simplify(found.step - (1 + eta**2) * SECOND - cross) == 0
    assert sp.simplify(found.gradient - 1 - eta**2) == 0
    theory = vp.predict(branch(3, closing=False))
    second, mean = found.values(3)
    for layer in (1, 2, 3):
        for value, quantity in ((second, "second_moment"), (mean, "mean")):
            gap = value[layer] - theory.value(f"add_{layer}", quantity)[0]
            assert abs(sp.N(gap.subs(AT), 40)) < 1e-35


def test_growth_of_the_relu_branch_is_the_root_of_its_cubic():
    """r^2 (1 + eta^2 + 2 eta r/sqrt(pi)) = (r + eta/sqrt(pi))^2, r = mu/sqrt(q), by bisection."""
    for scale in (1.0, 0.25):
        found = recurrence(vp.residual(64, 1, closing=False, scale=scale))
        low, high, c = 0.0, 1.0, scale / np.sqrt(np.pi)
        for _ in range(200):
            r = (low + high) / 2
            below = r**2 * (1 + scale**2 + 2 * c * r) < (r + c) ** 2
            low, high = (r, high) if below else (low, r)
        assert found.growth() == pytest.approx(1 + scale**2 + 2 * c * low, rel=1e-12)
    second, mean = recurrence(vp.residual(64, 1, closing=False)).values(60)
    assert second[60] / second[59] == pytest.approx(2.9041, abs=5e-5)
    assert mean[60] / np.sqrt(second[60]) < 1


@pytest.mark.parametrize(("depth", "stated"), [(16, 29), (64, 2367), (256, 1.9e7), (1024, 1.3e15)])
def test_one_over_root_depth_is_not_enough_for_a_relu_branch(depth, stated):
    found = recurrence(vp.residual(8, 1, scale=depth**-0.5, closing=False))
    assert found.values(depth)[0][-1] == pytest.approx(stated, rel=0.05)


def test_a_square_activation_is_a_power_step():
    square = vp.custom_activation("square", sp.Symbol("x") ** 2)
    found = recurrence(vp.mlp(n, 1, activation=square, weights=W, output=None))
    assert sp.simplify(found.step - 3 * s**4 * SECOND**2) == 0
    assert sp.simplify(found.solve(START, 3) - found.values(3, START)[3]) == 0
    assert set(found.fixed_points) == {sp.Integer(0), 1 / (3 * s**4)}
    with pytest.raises(ValueError, match=r"gradient factor .* depends on q_l"):
        found.solve_gradient()


@dataclass(frozen=True)
class RmsNorm(Layer):
    """y = x / sqrt(mean_i x_i^2 + epsilon), in the limit of wide layers: q' = q/(q + epsilon)."""

    epsilon: Any
    kind = "rms_norm"

    @property
    def arguments(self) -> tuple:
        return (self.epsilon,)

    def size(self, *sizes: Any) -> Any:
        return sizes[0]

    def moments(self, name: str, *inputs: Moments) -> Moments:
        (x,) = inputs
        return replace(x, second=x.second / (x.second + self.epsilon), second_regime=WIDE)

    def gradients(self, name: str, inputs: tuple, gradient: Gradients) -> tuple[Gradients, ...]:
        return (replace(gradient, second=gradient.second / (inputs[0].second + self.epsilon)),)

    def tangents(self, *_: Any) -> Any:
        raise NotImplementedError

    def apply(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("bias", [None, B], ids=["no bias", "bias"])
def test_a_normalised_layer_is_a_riccati_step(bias):
    graph = vp.Graph(n)
    graph.add(RmsNorm(e), graph.add(vp.Dense(n, n, W, bias), graph.input))
    found = recurrence(graph.network())
    v, second = s**2, 0 if bias is None else b**2
    direct = (v * SECOND + second) / (v * SECOND + second + e)
    assert sp.simplify(found.step - direct) == 0
    point = {s: sp.Rational(6, 5), b: sp.Rational(1, 3), e: sp.Rational(1, 7)}
    values = replace(found, step=found.step.subs(point)).values(9, 2)
    for layer in (0, 1, 9):
        value = found.solve(2, layer).subs(point)
        assert float(value) == pytest.approx(values[layer], rel=1e-12)


@pytest.mark.parametrize("step", [(SECOND - 1) / (SECOND + 3), SECOND / (SECOND + 1)], ids=str)
def test_riccati_step_with_one_fixed_point(step):
    solution, q = solve_step(step, SECOND, START), sp.Integer(2)
    for layer in range(5):
        assert sp.simplify(solution.subs({LAYER: layer, START: 2}) - q) == 0
        q = step.subs(SECOND, q)


def test_what_has_no_closed_form_shows_its_step():
    found = recurrence(stack("erf", B))
    with pytest.raises(ValueError, match=r"no closed form for q_\(l\+1\) = 2\*asin.*\.values"):
        found.solve()
    with pytest.raises(ValueError, match=r"no closed form for the system q -> .*, mu -> "):
        recurrence(branch(closing=False)).solve()
    numeric = recurrence(vp.mlp(9, 1, activation="erf", weights="lecun_normal", output=None))
    deep = vp.predict(vp.mlp(9, 30, activation="erf", weights="lecun_normal", output=None))
    assert numeric.values(30)[30] == pytest.approx(deep.value("erf_30", "second_moment")[0])
    integral = recurrence(stack("tanh"))
    for ask in (integral.solve, lambda: integral.values(3), lambda: integral.fixed_points):
        with pytest.raises(ValueError, match=r"Integral.*(iterate|predict)"):
            ask()


MISTAKES = {
    "must return as many channels as it reads, got 3 and 5: leave the readout out": lambda: (
        recurrence(vp.mlp(widths=[3, 4, 5]))
    ),
    "a varprop Network is needed, got str": lambda: recurrence("relu"),  # pyright: ignore
    "depth must be a positive integer, got 0": lambda: recurrence(branch()).values(0),
    "the growth rate of a system needs numbers, got symbols eta": lambda: recurrence(
        branch(closing=False)
    ).growth(),
    "fixed points need one unknown": lambda: recurrence(branch(closing=False)).fixed_points,
    "a growth rate needs a homogeneous block": lambda: recurrence(stack("relu", B)).growth(),
    "the start must be a finite number of at least 0, or a SymPy expression, got -1; it is": (
        lambda: recurrence(stack("relu")).values(3, -1)
    ),
    "the start must be a finite number of at least 0, or a SymPy expression, got 'a'; it": (
        lambda: recurrence(stack("relu")).values(3, "a")
    ),
    "the start must be a finite number of at least 0, or a SymPy expression, got 'b'; it": (
        lambda: recurrence(stack("relu")).solve("b")
    ),
    "layer must be a whole number of at least 0 or a SymPy expression, got -2; it counts": (
        lambda: recurrence(stack("relu")).solve(1, -2)
    ),
    "squared mean must not exceed the second moment E x^2, got mean 2 and second moment 1;": (
        lambda: recurrence(branch(closing=False)).values(3, 1, 2)
    ),
    "relu of a value with non-zero mean": lambda: recurrence(after_addition()),
}


def after_addition() -> vp.Network:
    """x -> relu(x + W x): the next block reads a mean that relu's rule does not know."""
    graph = vp.Graph(n)
    x = graph.add(vp.Add(), graph.input, graph.add(vp.Dense(n, n, W), graph.input))
    graph.add(vp.Elementwise("relu"), x)
    return graph.network()


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)


def test_a_symbolic_scale_is_a_parameter_and_no_argument_of_the_activation():
    """z + eta z and its gradient: eta is a symbol of the formula."""
    graph = vp.Graph(n)
    z = graph.add(vp.Dense(n, n, W), graph.input)
    graph.add(vp.Add(), z, graph.add(vp.Scale(eta), z))
    found = recurrence(graph.network())
    assert sp.simplify(found.step - s**2 * (1 + eta) ** 2 * SECOND) == 0
    assert sp.simplify(found.gradient - s**2 * (1 + eta) ** 2) == 0


def test_zero_is_a_fixed_point_beside_a_root_by_lambert():
    """sin: q = 0 repels for sigma_w > 1, where the other root is that of the mean field."""
    found = recurrence(stack("sin"))
    zero, other = found.fixed_points
    field = vp.mean_field("sin", weight_variance=4.0)
    assert zero == 0 and field.fixed_points[0].q == 0
    assert 4 * float(other.subs(s, 2)) == pytest.approx(field.fixed_point, rel=1e-12)


def block(activation, variance):
    weights = init.normal(variance=sp.sympify(variance) / 8)
    return recurrence(vp.mlp(8, 1, activation=activation, weights=weights, output=None))


@pytest.mark.parametrize(
    "activation, variance, count",
    [
        ("gaussian", "1/5", 1),
        ("sin", "3", 2),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("sin", "1/5", 1), ("exp", "1/10", 2), ("exp", "1/5", 0))
        ),
    ],
)
def test_fixed_points_are_real_and_all_there(activation, variance, count):
    """Against the changes of sign of step(q) - q on a fine grid; 0 has none."""
    found = block(activation, variance)
    step = sp.lambdify(SECOND, found.step)
    grid = np.linspace(1e-3, 30, 200_001)
    above = step(grid) > grid
    crossed = grid[1:][above[1:] != above[:-1]]
    roots = [complex(sp.N(root, 20)) for root in found.fixed_points]
    assert len(roots) == count and all(abs(r.imag) < 1e-15 for r in roots)
    positive = sorted(r.real for r in roots if r.real > 1e-12)
    assert positive == pytest.approx(list(crossed), abs=2e-4)


def test_of_a_cubic_with_symbols_the_one_real_root_is_given():
    s = sp.Symbol("sigma", positive=True)
    (gaussian,) = block("gaussian", s**2).fixed_points
    for value in (0.1, 0.6, 2.0):
        q = complex(sp.N(gaussian.subs(s, value), 30))
        assert abs(q.imag) < 1e-12 and q.real == pytest.approx((1 + 2 * value**2 * q.real) ** -0.5)


@pytest.mark.slow
def test_both_branches_of_lambert_are_tried_and_none_stands_twice():
    s = sp.Symbol("sigma", positive=True)
    assert len(block("exp", s**2).fixed_points) == 2
    zero, other = block("sin", s**2).fixed_points  # the other branch is 0, or negative
    assert zero == 0 and float(other.subs(s, 2)) > 0
