"""What activations do with the error estimate, and with integrals that were done before."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

import varprop as vp
from varprop.activations import Activation, X, custom, get, quadrature
from varprop.gaussian import Estimate, forget, pair_expectation, remembered


def test_a_hopeless_oscillation_is_refused():
    wild = custom("wild", sp.sin(40_000 * X))
    rule = r"the quadrature of second_moment of wild at q = 1 has an estimated error of .*declare"
    with pytest.raises(ValueError, match=rule):
        wild.second_moment(1.0)
    with pytest.raises(ValueError, match=r"of a moment of wild at q = 2"):
        wild.moment(lambda z, value, slope: value**2, 2.0)


def test_a_pair_that_cannot_be_told_is_refused():
    lost = Estimate(np.array([0.5, 0.5]), np.array([1e-12, 1e-3]), np.ones(2))
    rule = r"of f at q1 = 1, q2 = 3, c = 0.75 has an estimated error of 1.0e-03, for a mean of 5"
    with pytest.raises(ValueError, match=rule):
        quadrature.trusted(lost, "f", q1=1.0, q2=np.array([2.0, 3.0]), d=0.25)


def test_an_integral_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="an estimated error of inf"):
        custom("fast", sp.exp(X**4)).second_moment(1.0)


def test_a_variance_that_underflows_is_not_refused():
    assert get("silu").second_moment(2e-311) == pytest.approx(5e-312, rel=1e-6)


def test_kinks_that_are_not_declared_cost_time_but_no_digits():
    declared = custom("shifted", sp.Max(X - 1, 0))
    blind = Activation("blind", sp.Max(X - 1, 0))
    assert declared.kinks == (1.0,)
    assert blind.second_moment(0.5) == pytest.approx(declared.second_moment(0.5), rel=1e-11)
    found = blind.kernel(0.5, 0.7, 0.4)
    assert found == pytest.approx(declared.kernel(0.5, 0.7, 0.4), rel=1e-10)


def test_what_is_remembered_is_what_was_computed():
    forget()
    asked = []

    def rule(a: np.ndarray, b: np.ndarray) -> Estimate:
        asked.append(a.size)
        return Estimate(a + b, 0 * a, np.abs(a))

    first = remembered("sum", rule, np.array([[1.0, 2.0], [1.0, 3.0]]), 5.0)
    assert first.value == pytest.approx(np.array([[6.0, 7.0], [6.0, 8.0]]), abs=0)
    again = remembered("sum", rule, np.array([2.0, np.nextafter(2.0, 3.0)]), 5.0)
    assert again.value[0] == 7.0
    assert asked == [3, 1]  # each argument once, to the last bit
    assert remembered("other", rule, 1.0, 5.0).value == 6.0
    assert remembered("sum", rule, np.zeros(0), 5.0).value.shape == (0,)
    assert asked == [3, 1, 1]


def test_memory_and_company_change_nothing(rng):
    """A pair alone, among others, and remembered gives the same number."""
    q, d = rng.uniform(0.1, 5, 7), rng.uniform(0, 2, 7)
    phi = get("tanh")
    together = phi.kernel(q, q, 1 - d)
    forget()
    alone = np.array([phi.kernel(a, a, 1 - b) for a, b in zip(q, d, strict=True)])
    assert together == pytest.approx(alone, rel=1e-14, abs=1e-15)
    assert np.array_equal(phi.kernel(q, q, 1 - d), alone)


def test_sixteen_digits_of_memory_are_not_shared_between_activations():
    q = 1.3
    assert get("tanh").second_moment(q) != get("silu").second_moment(q)
    assert custom("a", sp.tanh(X)).second_moment(q) == get("tanh").second_moment(q)


# -- deep recursions --------------------------------------------------------------------------


def relu_correlation(e: mpmath.mpf) -> mpmath.mpf:
    """1 - c of the next layer for unit variances, He weights; Cho & Saul (2009)."""
    c = 1 - e
    theta = mpmath.acos(c)
    return 1 - (mpmath.sin(theta) + (mpmath.pi - theta) * c) / mpmath.pi


def test_a_thousand_layers_of_relu_keep_twelve_digits():
    phi, gap = get("relu"), 0.7
    with mpmath.workdps(30):
        exact = mpmath.mpf(0.7)
        for _ in range(1000):
            gap, exact = 2 * phi.gap(1.0, 1.0, gap), relu_correlation(exact)
        assert gap == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.slow
def test_relu_forgets_as_the_square_of_the_depth():
    """(1 - c_l) l^2 -> 9 pi^2 / 2, with corrections log(l) / l."""
    phi, gap, layers = get("relu"), np.array(0.5), 100_000
    for _ in range(layers):
        gap = 2 * phi.gap(1.0, 1.0, gap)
    found = float(gap) * layers**2
    assert found == pytest.approx(9 * math.pi**2 / 2, rel=5e-3)


def tanh_moments(q: mpmath.mpf, e: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """E tanh^2 and E (tanh z - tanh z')^2 / 2 by an even grid in z + z' and z - z'."""
    step = mpmath.mpf(1) / 4
    nodes = [k * step for k in range(-44, 45)]
    weight = [step * mpmath.npdf(u) for u in nodes]
    a, b = mpmath.sqrt(q * (1 - e / 2)), mpmath.sqrt(q * e / 2)
    square = sum(
        w * mpmath.tanh(mpmath.sqrt(q) * u) ** 2 for u, w in zip(nodes, weight, strict=True)
    )
    gap = mpmath.mpf(0)
    for u, wu in zip(nodes, weight, strict=True):
        for v, wv in zip(nodes, weight, strict=True):
            difference = mpmath.tanh(a * u + b * v) - mpmath.tanh(a * u - b * v)
            gap += wu * wv * difference**2 / 2
    return square, gap


def deep_tanh(layers: int, gain: float) -> None:
    q, gap = 0.8, 0.3
    with mpmath.workdps(30):
        q_exact, gap_exact, phi = mpmath.mpf(q), mpmath.mpf(gap), get("tanh")
        for _ in range(layers):
            q, gap = gain * phi.second_moment(q), gain * phi.gap(q, q, gap)
            square, half = tanh_moments(q_exact, gap_exact / q_exact)
            q_exact, gap_exact = gain * square, gain * half
        assert q == pytest.approx(float(q_exact), rel=1e-13 * layers)
        assert gap == pytest.approx(float(gap_exact), rel=1e-13 * layers)


@pytest.mark.parametrize("gain", [0.9, 1.5])
def test_some_layers_of_tanh(gain):
    deep_tanh(5, gain)


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.9, 1.0, 1.5])
def test_thirty_layers_of_tanh(gain):
    deep_tanh(30, gain)


def test_the_tangent_of_a_tiny_gap_at_every_depth():
    """In the ordered phase the gap shrinks for ever, by chi a layer; a thousand layers keep it."""
    phi = get("tanh")
    q, gap, product = 1.0, 1e-10, 1.0
    for _ in range(100):
        product *= 0.9 * phi.derivative_second_moment(q)
        q, gap = 0.9 * phi.second_moment(q), 0.9 * phi.gap(q, q, gap)
    assert gap == pytest.approx(1e-10 * product, rel=1e-8)


def test_predict_of_many_inputs_agrees_with_predict_of_two(rng):
    network = vp.mlp(8, 20, activation="tanh", weights=vp.init.normal(std=0.4))
    x = rng.normal(size=(6, 8))
    many = vp.predict(network, x).moments[network.output].gap
    two = vp.predict(network, x[[1, 4]]).moments[network.output].gap
    assert many[1, 4] == pytest.approx(two[0, 1], rel=1e-11)
    direct = pair_expectation(lambda a, b: np.tanh(a) * np.tanh(b), 1.1, 0.4, 0.3)
    assert get("tanh").kernel(1.1, 0.4, 0.7) == pytest.approx(float(direct.value), rel=1e-11)
