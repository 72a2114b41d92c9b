"""The tangent rule of two inputs against integrals over the two pre-activations.

The integrals are of the conditional law: y = a.(z, z') + r given z, z', so

    E f y y' = E f(z, z') (a.(z, z') b.(z, z') + E r r'),     E f y' = E f(z, z') b.(z, z')

by Gauss-Legendre panels that end at the kinks. No derivative of a kernel is taken there.
"""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from varprop.activations import X, custom, get
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.layers.tangents import cross_of
from varprop.moments import EXACT, Moments, Tangents, gap_of

REACH, EDGES, ORDER = 8.5, 12, 20  # the density beyond REACH is below 1e-15
ACTIVATIONS = {
    "relu": get("relu"),
    "abs": get("abs"),
    "tanh": get("tanh"),
    "gelu": get("gelu"),
    "selu": get("selu"),
    "silu": get("silu"),
    "erf": get("erf"),
    "quadratic": custom("square", X**2 / 2 + X),
    "a jump": custom("jump", sp.Piecewise((X, X < 0), (2 * X + 1, True))),
}
CONTINUOUS = [name for name, phi in ACTIVATIONS.items() if not phi.jumps]


def panels(low, high, kinks):
    """Nodes and weights on [low, high] (rows), panels between the kinks (rows, .)."""
    node, weight = np.polynomial.legendre.leggauss(ORDER)
    even = low + (high - low) * np.linspace(0, 1, EDGES)
    edges = np.sort(np.concatenate([even, np.clip(kinks, low, high)], -1), -1)
    middle, half = (edges[:, 1:] + edges[:, :-1]) / 2, np.diff(edges) / 2
    nodes = middle[..., None] + half[..., None] * node
    return nodes.reshape(len(edges), -1), (half[..., None] * weight).reshape(len(edges), -1)


def density(u):
    return np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)


def mean(function, variance, kinks):
    """E function(z, z') for centred Gaussians of this covariance matrix."""
    s = np.sqrt(np.diagonal(variance))
    c = variance[0, 1] / s[0] / s[1]
    rest = np.sqrt((1 - c) * (1 + c))
    ends, kinks = np.array([[REACH]]), np.asarray(kinks, float)
    u, weight = panels(-ends, ends, kinks[None] / s[0])
    u, weight = u[0][:, None], weight[0]
    ends = np.full(u.shape, REACH)
    v, inner = panels(-ends, ends, (kinks[None] / s[1] - c * u) / rest)
    values = function(s[0] * u, s[1] * (c * u + rest * v)) * density(v) * inner
    return float((values.sum(-1) * density(u[:, 0])) @ weight)


def joint(rng, correlation, scale=1.0):
    """Covariance (4, 4) of (z, z', y, y') with that correlation of z, z'."""
    factor = rng.normal(size=(4, 5))
    own = np.array([[1.0, 0, 0, 0, 0], [correlation, np.sqrt(1 - correlation**2), 0, 0, 0]])
    factor[:2] = scale * own * [[1.0], [1.3]]
    return factor @ factor.T


def states(covariance):
    """The law of z and its tangent y."""
    second = covariance[:2, :2]
    z = Moments(np.zeros(2), second, gap_of(second), gaussian=EXACT, sources=frozenset("z"))
    return z, Tangents(np.zeros(2), covariance[2:, 2:], covariance[:2, 2:])


def given(covariance):
    """Coefficients of y and y' on (z, z'), rows, and the covariance of what is left."""
    coefficients = np.linalg.solve(covariance[:2, :2], covariance[:2, 2:]).T
    return coefficients, covariance[2:, 2:] - coefficients @ covariance[:2, 2:]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("correlation", [0.6, -0.9, 0.999])
def test_products_of_two_tangents(name, correlation, rng):
    phi, covariance = ACTIVATIONS[name], joint(rng, correlation)
    z, y = states(covariance)
    found = Elementwise(phi).tangents((z,), (y,)).second
    coefficients, left = given(covariance)

    def integrand(first, last):
        line = [k[0] * first + k[1] * last for k in coefficients]
        return phi.slope(first) * phi.slope(last) * (line[0] * line[1] + left[0, 1])

    expected = mean(integrand, covariance[:2, :2], phi.kinks)
    size = np.sqrt(found[0, 0] * found[1, 1])
    assert abs(found[0, 1] - expected) < 1e-6 * size and found[0, 1] == found[1, 0]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_values_with_the_tangents_of_another_input(name, rng):
    phi, covariance = ACTIVATIONS[name], joint(rng, 0.6)
    z, y = states(covariance)
    x = Elementwise(phi).moments("x", z)
    found = cross_of(x, Elementwise(phi).tangents((z,), (y,)))
    coefficients, _ = given(covariance)
    for p, o in ((0, 1), (1, 0)):

        def integrand(first, last, p=p, o=o):
            at = first, last
            line = coefficients[o][0] * first + coefficients[o][1] * last
            return phi(at[p]) * phi.slope(at[o]) * line

        expected = mean(integrand, covariance[:2, :2], phi.kinks)
        assert abs(found[p, o] - expected) < 1e-6 * np.sqrt(x.second[0, 0] * y.second[1, 1])


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("multiple", [3.7, -3.7, 0.02, -1.0])
def test_two_inputs_that_are_multiples(name, multiple, rng):
    """z' = a z: moments of one Gaussian, where the angle between z and z' is all rounding."""
    phi, one = ACTIVATIONS[name], rng.standard_normal((4, 6))
    one[1] = multiple * one[0]
    covariance = one @ one.T / 6
    z, y = states(covariance)
    found = Elementwise(phi).tangents((z,), (y,)).second
    q, (first, last) = covariance[0, 0], covariance[0, 2:]
    places = np.array([kink / np.sqrt(q) / a for kink in phi.kinks for a in (1, multiple)])
    fine = np.append(places, np.linspace(-REACH, REACH, 200))
    (u,), (weight,) = panels(np.array([[-REACH]]), np.array([[REACH]]), fine[None])
    at = np.sqrt(q) * u
    line = first * last / q * (u**2 - 1) + covariance[2, 3]
    expected = (phi.slope(at) * phi.slope(multiple * at) * line * density(u)) @ weight
    size = np.sqrt(found[0, 0] * found[1, 1])
    assert abs(found[0, 1] - expected) < 1e-6 * size
    # a tangent that z does not explain: that of the gradients' rule, to the last digits
    alone = Tangents(y.mean, y.second, 0 * y.cross)
    kernel = (phi.slope_function.kernel if phi.jumps else phi.derivative_kernel)(
        covariance[0, 0], covariance[1, 1], gap=z.gap[0, 1]
    )
    second = Elementwise(phi).tangents((z,), (alone,)).second[0, 1]
    assert second == pytest.approx(kernel * y.second[0, 1], rel=1e-12, abs=0)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_two_inputs_that_are_one(name, rng):
    """Duplicates have the moments of one; nearly equal ones have them nearly."""
    phi, one = ACTIVATIONS[name], joint(rng, 0.0)[np.ix_([0, 2], [0, 2])]
    for apart in (0.0, 1e-12):
        second = np.full((2, 2), one[0, 0])
        second[0, 1] = second[1, 0] = one[0, 0] * (1 - apart)
        gap = np.array([[0, 1], [1, 0]]) * one[0, 0] * apart
        z = Moments(np.zeros(2), second, gap, gaussian=EXACT)
        y = Tangents(np.zeros(2), np.full((2, 2), one[1, 1]), np.full((2, 2), one[0, 1]))
        t = Elementwise(phi).tangents((z,), (y,))
        np.testing.assert_allclose(t.second, t.second[0, 0], rtol=1e-5)


def test_a_product_without_a_rule_is_read_by_none(rng):
    """phi(z) jumps, so E x t' of two inputs is unknown, that of one is not; a sum hands it on."""
    z, y = states(joint(rng, 0.6))
    jump = Elementwise(ACTIVATIONS["a jump"])
    x, t = jump.moments("x", z), jump.tangents((z,), (y,))
    w, v = states(joint(rng, 0.3))
    w = replace(w, sources=frozenset("w"))
    total = Add().tangents((x, w), (t, v))
    assert np.isfinite(total.second).all() and np.isfinite(np.diag(total.cross)).all()
    assert np.isnan(total.cross[0, 1]) and np.isnan(total.cross[1, 0])
    with pytest.raises(ValueError, match="relu, as a function that jumps was added"):
        Elementwise(get("relu")).tangents((w,), (total,))


def test_a_dead_input_moves_nothing(rng):
    """z = 0 at one point, as without a bias on a dead layer: its tangent is 0 too."""
    second, zero = np.diag([1.0, 0.0]), np.zeros((2, 2))
    z = Moments(np.zeros(2), second, gap_of(second), gaussian=EXACT)
    y = Tangents(np.zeros(2), second, 0.3 * second)
    for phi in (get("relu"), get("tanh")):
        t = Elementwise(phi).tangents((z,), (y,)).second
        assert t[0, 0] > 0 and t[0, 1] == t[1, 0] == t[1, 1] == zero[0, 0]


def test_linear_layers_move_products_of_tangents(rng):
    covariance = joint(rng, 0.3)
    z, y = states(covariance)
    x = Moments.of_gram(np.array([0.3, -0.2]), np.eye(2), frozenset("x"))
    s = Tangents(np.array([0.5, 0.1]), 2 * np.eye(2), rng.normal(size=(2, 2)))
    relu = Elementwise(get("relu"))
    v, t = relu.moments("v", z), relu.tangents((z,), (y,))
    out = Add().tangents((x, v), (s, t))
    both = np.outer(s.mean, t.mean)
    np.testing.assert_allclose(out.second, s.second + t.second + both + both.T)
    means = np.outer(x.mean, t.mean) + np.outer(v.mean, s.mean)
    np.testing.assert_allclose(out.cross, s.cross + cross_of(v, t) + means)
    halved = Scale(0.5).tangents((v,), (t,))
    assert halved.base is y and np.array_equal(halved.second, t.second / 4)
    scaled = Scale(0.5).moments("w", v)
    np.testing.assert_allclose(cross_of(scaled, halved), cross_of(v, t) / 4, rtol=1e-9)
    dense = Dense(3, 5, "kaiming_normal").tangents((v,), (t,))
    np.testing.assert_allclose(dense.second, 2 * t.second)
    np.testing.assert_allclose(dense.cross, 2 * cross_of(v, t))


def test_a_tangent_that_leaves_its_cross_moment_open_is_refused():
    """As from a layer of one's own that drops `base` and gives no `cross`."""
    t = Tangents(np.zeros(1), np.ones((1, 1)), None)
    with pytest.raises(ValueError, match=r"got source=None, base=None: let the `tangents` of the"):
        Dense(3, 5, "kaiming_normal").tangents((Moments.unit(),), (t,))
