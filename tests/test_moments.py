"""The state itself: the three cases that it must carry, on numbers and on symbols."""

import math

import numpy as np
import pytest
import sympy as sp
import torch

from varprop.activations import get
from varprop.builders import residual
from varprop.initializers import normal
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.moments import (
    APPROXIMATE,
    EXACT,
    WIDE,
    Gradients,
    Moments,
    Regime,
    Tangents,
    gap_of,
    merge_notes,
)
from varprop.theory import predict

torch.set_num_threads(1)
Z = 5.0  # two-sided 5.7e-7: each statistical assertion below fails by chance at most 1e-6


def agrees(samples: np.ndarray, value, bias: float = 0.0) -> bool:
    """Whether the mean over axis 0 is within Z standard errors, plus a stated bias, of `value`."""
    error = samples.std(0, ddof=1) / math.sqrt(len(samples))
    return bool(np.all(np.abs(samples.mean(0) - value) <= Z * error + bias + 1e-12))


def law(second, source: str = "w") -> Moments:
    second = np.asarray(second)
    zero = 0 * second[..., 0]
    return Moments(
        zero,
        second,
        gap_of(second),
        gaussian=EXACT,
        symmetric=True,
        sources=frozenset({source}),
    )


# -- (a) a branch with non-zero mean ---------------------------------------------------------


def test_branch_ending_in_relu_is_the_recursion_of_theory_8_2():
    """q' = (1 + eta^2) q + 2 eta mu sqrt(q / pi),  mu' = mu + eta sqrt(q / pi)."""
    eta, depth = 0.8, 5
    theory = predict(residual(40, depth, closing=False, scale=eta))
    q, mu = 1.0, 0.0
    for block in range(1, depth + 1):
        q, mu = (
            (1 + eta**2) * q + 2 * eta * mu * math.sqrt(q / math.pi),
            mu + eta * math.sqrt(q / math.pi),
        )
        node = f"add_{block}"
        assert theory.value(node, "second_moment") == pytest.approx(q, rel=1e-13)
        assert theory.value(node, "mean") == pytest.approx(mu, rel=1e-13)
    assert theory.regime("add_1", "second_moment") == EXACT  # the input is fixed
    assert theory.regime("add_2", "second_moment") == WIDE


def test_branch_ending_in_relu_on_symbols():
    n, eta = sp.symbols("n eta", positive=True)
    theory = predict(residual(n, 2, closing=False, scale=eta))
    q1, mu1 = 1 + eta**2, eta / sp.sqrt(sp.pi)
    assert sp.expand(theory.value("add_1", "second_moment")[0] - q1) == 0
    assert sp.expand(theory.value("add_1", "mean")[0] - mu1) == 0
    q2 = (1 + eta**2) * q1 + 2 * eta * mu1 * sp.sqrt(q1 / sp.pi)
    assert sp.simplify(theory.value("add_2", "second_moment")[0] - q2) == 0


def test_branch_ending_in_relu_in_simulation(rng):
    """Two blocks of width 400: error O(1/n) after the first, bounded by 10/n here."""
    n, draws, eta = 400, 150, 0.8
    x = rng.normal(0.5, 1.0, (2, n))
    theory = predict(residual(n, 2, closing=False, scale=eta), x)
    second = {1: [], 2: []}
    means = {1: [], 2: []}
    for _ in range(draws):
        h = x
        for block in (1, 2):
            w = rng.normal(0, math.sqrt(2 / n), (n, n))
            h = h + eta * np.maximum(h @ w.T, 0)
            second[block].append(h @ h.T / n)
            means[block].append(h.mean(-1))
    for block in (1, 2):
        state = theory.moments[f"add_{block}"]
        bias = 0.0 if block == 1 else 10 / n
        assert agrees(np.array(second[block]), state.second, bias)
        assert agrees(np.array(means[block]), state.mean, bias)
        assert state.gap == pytest.approx(gap_of(state.second), rel=1e-10)
    # without the mean shift the same test fails
    wrong = state.second - 2 * np.outer(x.mean(-1), state.mean - x.mean(-1))
    assert not agrees(np.array(second[2]), wrong, 10 / n)


# -- (b) pooling of correlated positions -----------------------------------------------------


@pytest.mark.parametrize("m, expected", [(4, 0.24437), (9, 0.19703)])
def test_average_pooling_of_relu_of_independent_positions(m, expected):
    """1/(2m) + (1 - 1/m)/(2 pi)."""
    x = Elementwise(get("relu")).moments("relu_1", law(np.eye(m)))
    pooled = x.mixed(np.full((1, m), 1 / m))
    assert pooled.second[0, 0] == pytest.approx(1 / (2 * m) + (1 - 1 / m) / (2 * math.pi))
    assert round(float(pooled.second[0, 0]), 5) == expected
    assert pooled.mean == pytest.approx([1 / math.sqrt(2 * math.pi)])


def test_average_pooling_of_correlated_positions(rng):
    """Three positions into two overlapping windows, against independent Gaussian draws."""
    q = np.array([[1.0, 0.6, -0.3], [0.6, 1.4, 0.2], [-0.3, 0.2, 0.7]])
    windows = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    state = Elementwise(get("relu")).moments("relu_1", law(q)).mixed(windows)
    z = rng.multivariate_normal(np.zeros(3), q, size=400_000)
    y = np.maximum(z, 0) @ windows.T
    assert agrees(y, state.mean)
    assert agrees(y[:, :, None] * y[:, None, :], state.second)
    assert agrees((y[:, :, None] - y[:, None, :]) ** 2 / 2, state.gap)
    independent = Elementwise(get("relu")).moments("relu_1", law(np.diag(np.diag(q))))
    wrong = independent.mixed(windows).second
    assert not agrees(y[:, :, None] * y[:, None, :], wrong)
    assert state.gap == pytest.approx(gap_of(state.second), rel=1e-12)
    assert state.source is None and state.gaussian is None
    assert state.second_regime == max(state.second_regime, state.cross_regime)


def test_average_pooling_on_symbols():
    q, c = sp.symbols("q c", positive=True)
    x = Elementwise(get("relu")).moments("relu_1", law(np.array([[q, c * q], [c * q, q]])))
    half = np.full((1, 2), sp.Rational(1, 2))
    second = x.mixed(half).second[0, 0]
    kernel = q * (sp.sqrt(1 - c**2) + (sp.pi - sp.acos(c)) * c) / (2 * sp.pi)
    for value in (sp.Rational(1, 5), sp.Rational(9, 10)):
        found = sp.N((second - (q / 2 + kernel) / 2).subs({c: value, q: 3}), 30)
        assert abs(found) < 1e-25


def test_pooling_keeps_small_gaps():
    """Windows of nearly equal values: the gap carries 1e-12, which a subtraction loses."""
    gap = 1e-12 * (1 - np.eye(3))
    x = Moments(np.zeros(3), 1 - gap, gap)
    windows = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    pooled = x.mixed(windows)
    # (x0 - x2) / 2: a quarter of E (x0 - x2)^2 / 2
    assert pooled.gap[0, 1] == pytest.approx(0.25e-12, rel=1e-9)
    assert gap_of(pooled.second)[0, 1] != pytest.approx(0.25e-12, rel=1e-9, abs=0)


def test_mixing_with_leading_axes(rng):
    """Many cases at once equal one at a time."""
    root = rng.normal(size=(4, 3, 5))
    second = root @ np.swapaxes(root, -1, -2) / 5
    many = Moments(root.mean(-1), second, gap_of(second))
    windows = rng.normal(size=(2, 3))
    products = np.einsum("as,bt->asbt", windows, windows)
    for pair in (None, products):
        together = many.mixed(windows, pair)
        for k in range(4):
            one = Moments(many.mean[k], second[k], many.gap[k]).mixed(windows, pair)
            for field in ("mean", "second", "gap"):
                found = getattr(together, field)[k]
                assert found == pytest.approx(getattr(one, field), rel=1e-11, abs=1e-13)


# -- (c) attention over two tokens -----------------------------------------------------------


def attention(mean_weight, kernel):
    """E A and E A A for rows (sigmoid(delta_i), 1 - sigmoid(delta_i)); kernel = E s_i s_j."""
    weights = np.empty((2, 2), dtype=np.asarray(kernel).dtype)
    weights[:, 0], weights[:, 1] = mean_weight, 1 - mean_weight
    products = np.empty((2, 2, 2, 2), dtype=np.asarray(kernel).dtype)
    for i in range(2):
        for j in range(2):
            si, sj, both = mean_weight[i], mean_weight[j], kernel[i, j]
            products[i, :, j, :] = [[both, si - both], [sj - both, 1 - si - sj + both]]
    return weights, products


def test_attention_over_two_tokens(generator):
    """delta_i = q_i.(k_1 - k_2)/sqrt(d) is Gaussian with E delta delta' = 2 gap E q q' as d grows.

    Its fourth cumulant is at most 6 (E delta^2)^2 / d, which moves E s s' by at most
    (1/4) 16 max|s''''| (E delta^2)^2 / d < 1/d here (Edgeworth; |s''''| < 1/7, E delta^2 < 1.3).
    """
    d, n, draws = 256, 8, 3000
    x = torch.randn(2, n, generator=generator, dtype=torch.float64)
    start = Moments.of_data(x.numpy())
    scale = math.sqrt(1 / n)
    delta = 2 * start.gap[0, 1] * start.second
    delta = delta * (1.2 / np.max(np.diag(delta)))  # Wq scaled so that E delta^2 <= 1.2
    gain = math.sqrt(1.2 / np.max(2 * start.gap[0, 1] * np.diag(start.second)))
    sigmoid = get("sigmoid")
    q = np.diag(delta)
    kernel = sigmoid.kernel(q[:, None], q[None, :], gap=np.maximum(gap_of(delta), 0))
    kernel[np.diag_indices(2)] = sigmoid.second_moment(q)
    weights, products = attention(sigmoid.mean(q), kernel)
    value = Dense(n, d, normal(variance=1 / n)).moments("dense_v", start)
    state = value.mixed(weights, products)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    seen = []
    for _ in range(10):
        wq = gain * scale * draw(draws // 10, d, n)
        wk, wv = scale * draw(draws // 10, d, n), scale * draw(draws // 10, d, n)
        queries, keys, values = (x @ w.mT for w in (wq, wk, wv))
        rows = torch.softmax(queries @ keys.mT / math.sqrt(d), -1)
        y = rows @ values
        seen.append((y @ y.mT / d).numpy())
    seen = np.concatenate(seen)
    size = float(np.max(np.diag(start.second)))
    assert agrees(seen, state.second, 4 * size / d)
    fixed = value.mixed(weights)  # a planted fault: E A E A in place of E A A
    assert not agrees(seen, fixed.second, 4 * size / d)
    assert not state.fixed and state.gaussian is None


def test_attention_on_symbols():
    """With symbols for the sigmoid moments; rows that sum to one reproduce equal tokens."""
    q, c, k11, k12, k22 = sp.symbols("q c k_11 k_12 k_22", positive=True)
    half = sp.Rational(1, 2)
    kernel = np.array([[k11, k12], [k12, k22]], object)
    weights, products = attention(np.array([half, half], object), kernel)
    value = law(np.array([[q, c * q], [c * q, q]], object))
    second = value.mixed(weights, products).second
    truth = k12 * q + 2 * (half - k12) * c * q + k12 * q
    assert sp.expand(second[0, 1] - truth) == 0
    assert sp.expand(second[0, 0] - truth.subs(k12, k11)) == 0
    assert sp.expand(second[1, 1].subs(c, 1) - q) == 0
    unevaluated = get("sigmoid").second_moment(q)
    assert isinstance(unevaluated, sp.Integral)
    assert second[0, 0].subs(k11, unevaluated).has(sp.Integral)


def test_random_mixing_is_not_fixed():
    """Data mixed by a random matrix has another Gram matrix in every network."""
    x = Moments.of_data(np.arange(6.0).reshape(2, 3))
    eye = np.eye(2)
    assert x.mixed(eye).fixed
    assert not x.mixed(eye, np.einsum("as,bt->asbt", eye, eye)).fixed


# -- the state -------------------------------------------------------------------------------


def test_moments_of_data(rng):
    x = rng.normal(0.4, 2.0, (3, 7))
    state = Moments.of_data(x)
    assert state.mean == pytest.approx([row.sum() / 7 for row in x])
    for a in range(3):
        for b in range(3):
            assert state.second[a, b] == pytest.approx(sum(x[a] * x[b]) / 7)
            assert state.gap[a, b] == pytest.approx(sum((x[a] - x[b]) ** 2) / 14)
    assert state.diagonal == pytest.approx((x**2).mean(-1))
    assert state.fixed and state.gaussian is None and not state.symmetric
    again = Moments.of_gram(state.mean, state.second, state.sources)
    assert again.gap == pytest.approx(state.gap, abs=1e-13)


def test_nearby_data_keep_their_gap(rng):
    x = rng.normal(size=7)
    near = Moments.of_data(np.stack([x, x + 1e-9]))
    assert near.gap[0, 1] == pytest.approx(0.5e-18, rel=1e-6, abs=0)


def test_unit_and_symbols():
    q = sp.Symbol("q", positive=True)
    assert Moments.unit().second == pytest.approx(np.ones((1, 1)))
    assert Moments.unit(second=q).second[0, 0] == q and Moments.unit(second=q).symbolic
    assert not Moments.unit().symbolic


def test_notes_and_regimes():
    noted = Moments.unit().noted("first").noted("second").noted("first")
    assert noted.notes == ("first", "second")
    assert {noted.mean_regime, noted.second_regime, noted.cross_regime} == {APPROXIMATE}
    assert merge_notes(("a", "b"), ("b", "c")) == ("a", "b", "c")
    assert list(map(str, Regime)) == ["exact", "corrected", "wide", "approximate"]
    assert max(EXACT, WIDE) == WIDE < APPROXIMATE
    g = Gradients(np.array([[1.0, 2.0], [2.0, 3.0]]))
    assert g.diagonal == pytest.approx([1.0, 3.0])


def test_sum_of_an_asymmetric_centred_value_and_its_descendant_is_only_wide(rng):
    """a centred but skew: E a relu(W a) is O(1/n), not zero, so `exact` would be a lie."""
    skew = Moments(np.zeros(1), np.ones((1, 1)), np.zeros((1, 1)), sources=frozenset({"a"}))
    child = Elementwise(get("relu")).moments(
        "relu_1", Dense(3, 3, normal(variance=1)).moments("dense_1", skew)
    )
    assert Add().moments("add_1", skew, child).second_regime == WIDE
    n, draws = 3, 200_000
    a = rng.exponential(size=(draws, n)) - 1
    w = rng.normal(size=(draws, n, n))
    b = np.maximum(np.einsum("dij,dj->di", w, a), 0)
    assert not agrees((a * b).mean(-1), 0.0)


def test_scaling_the_tangent():
    t = Tangents(np.ones(1), 2 * np.ones((1, 1)), 3 * np.ones((1, 1)))
    scaled = Scale(2.0).tangents((law(np.eye(1)),), (t,))
    assert (scaled.mean, scaled.second, scaled.cross) == (2.0, 8.0, 12.0)
    assert scaled.base is t
