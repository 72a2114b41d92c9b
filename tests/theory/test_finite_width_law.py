"""The exact laws of lengths: against closed forms at 50 digits, and against drawn networks."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import integrate, stats

from varprop import initializers as init
from varprop.builders import mlp, residual
from varprop.layers import Dense, Elementwise, Scale
from varprop.montecarlo import simulate
from varprop.network import Graph
from varprop.theory import gradient_law, length_law, predict
from varprop.theory.finite_width import Factor

LEVEL = 1e-6  # of each statistical test
mp = mpmath.mp.clone()
mp.dps = 50


def relu_moment(n, k):
    """E (2 chi^2_B / n)^k by the binomial sum."""
    terms = (
        mp.binomial(n, b) * mp.gamma(mp.mpf(b) / 2 + k) / mp.gamma(mp.mpf(b) / 2)
        for b in range(1, n + 1)
    )
    return sum(terms) * (mp.mpf(4) / n) ** k / mp.mpf(2) ** n


def relu_logs(n):
    """E log and Var log of 2 chi^2_B / n given B > 0."""
    chance = [mp.binomial(n, b) / (mp.mpf(2) ** n - 1) for b in range(1, n + 1)]
    first = [mp.digamma(mp.mpf(b) / 2) + mp.log(mp.mpf(4) / n) for b in range(1, n + 1)]
    second = [mp.polygamma(1, mp.mpf(b) / 2) for b in range(1, n + 1)]
    mean = sum(p * f for p, f in zip(chance, first, strict=True))
    return mean, sum(
        p * (s + (f - mean) ** 2) for p, f, s in zip(chance, first, second, strict=True)
    )


@pytest.mark.parametrize("n", [1, 3, 6, 128, 700])
def test_relu_moments_and_logarithms(n):
    law = length_law(mlp(n, 2, output=None))
    for k in (1, 2, 3, 0.5):
        assert law.moment(k) == pytest.approx(float(relu_moment(n, k) ** 2), rel=1e-12)
    mean, variance = relu_logs(n)
    assert law.log_mean == pytest.approx(float(2 * mean), rel=1e-12)
    assert law.log_variance == pytest.approx(float(2 * variance), rel=1e-12)
    assert law.dead == pytest.approx(float(1 - (1 - mp.mpf(2) ** -n) ** 2), rel=1e-12)
    assert law.fluctuation == pytest.approx((1 + 5 / n) ** 2 - 1, rel=1e-11)
    assert law.beta == pytest.approx(10 / n, rel=1e-11)


@pytest.mark.parametrize("n", [2, 5, 9])
@pytest.mark.parametrize("a", [0.01, 0.25, 0.9])
def test_leaky_moments_and_logarithms(n, a):
    """Moments of a^2 chi^2_(n-B) + chi^2_B; E log by E log y = int (e^-s - E e^-sy) ds/s."""
    law = length_law(mlp(n, 1, activation=f"leaky_relu({a})", weights=init.normal(variance=1 / n),
                         output=None))  # fmt: skip
    cumulants = [n * (1 + a**2) / 2, n * (1.5 * (1 + a**4) - ((1 + a**2) / 2) ** 2)]
    assert law.mean == pytest.approx(cumulants[0] / n, rel=1e-12)
    assert law.fluctuation == pytest.approx(cumulants[1] / cumulants[0] ** 2, rel=1e-10)

    def laplace(s):
        return ((1 + 2 * s) ** -0.5 / 2 + (1 + 2 * a**2 * s) ** -0.5 / 2) ** n

    def integrand(u):  # s = e^u
        s = mp.exp(u)
        return mp.exp(-s) - laplace(s)

    mean = mp.quad(integrand, [-120, -20, -5, 0, 3, 8, 20, 60, 300])
    assert law.log_mean == pytest.approx(float(mean) - math.log(n), rel=1e-9, abs=1e-10)


def gated(n, x):
    """P(chi^2_B <= x), B ~ Bin(n, 1/2), by the binomial sum."""
    b = np.arange(1, n + 1)
    p = stats.binom.pmf(b, n, 0.5)
    return 0.5**n + sum(p[k] * stats.chi2.cdf(x, b[k]) for k in range(n))


@pytest.mark.parametrize("n", [1, 2, 3, 40, 500])
def test_one_layer_has_the_known_distribution(n):
    x = np.array([1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0, 1.3, 2.0, 4.0, 20.0])
    relu = length_law(mlp(n, 1, output=None))
    assert relu.cdf(x) == pytest.approx(gated(n, x * n / 2), abs=1e-12)
    assert relu.cdf([-1.0, 0.0]) == pytest.approx([0.0, 0.5**n])
    linear = length_law(mlp(widths=[n, n], weights=init.normal(variance=1 / n)))
    assert linear.cdf(x) == pytest.approx(stats.chi2.cdf(n * x, n), abs=1e-12)
    assert linear.density(x) == pytest.approx(n * stats.chi2.pdf(n * x, n), abs=1e-10, rel=1e-9)
    assert linear.median == pytest.approx(stats.chi2.median(n) / n, rel=1e-10)
    assert linear.quantile(0.99) == pytest.approx(stats.chi2.ppf(0.99, n) / n, rel=1e-9)


def test_two_layers_by_integration():
    """P(F F' <= x) = int P(F <= x/y) dP(y): linear, leaky (n = 2) and mixed widths."""
    x = np.array([0.01, 0.2, 1.0, 3.0])
    linear = length_law(mlp(widths=[4, 3, 5], activation="identity", weights=init.normal(std=0.5)))
    density = lambda y, n, s: stats.chi2.pdf(y / s, n) / s  # noqa: E731
    for point, value in zip(x, linear.cdf(x), strict=True):
        scales = 4 * 0.25 / 3, 3 * 0.25 / 5
        expected = integrate.quad(
            lambda y, p=point, s=scales: stats.chi2.cdf(p / y / s[1], 5) * density(y, 3, s[0]),
            0, np.inf, epsabs=1e-11,
        )[0]  # fmt: skip
        assert value == pytest.approx(expected, abs=1e-9)
    leaky = length_law(
        mlp(2, 1, activation="leaky_relu(0.3)", weights=init.normal(variance=0.5), output=None)
    )
    for point, value in zip(x, leaky.cdf(x), strict=True):
        t = 2 * point  # Y_1 + Y_2 <= t, each Z^2 or 0.09 Z^2

        def one(y):
            return (stats.chi2.cdf(y, 1) + stats.chi2.cdf(y / 0.09, 1)) / 2

        def weighted(u, t=t):  # y = t u^2, whose density is smooth
            y = t * u * u
            pdf = np.exp(-y / 2) + np.exp(-y / 0.18) / 0.3
            return one(t - y) * pdf / math.sqrt(2 * math.pi) * math.sqrt(t)

        expected = integrate.quad(weighted, 0, 1, epsabs=1e-12)[0]
        assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "width, depth, name",
    [(3, 5, "relu"), (1, 2, "identity"), (16, 200, "relu"), (64, 1000, "leaky_relu(0.3)"),
     (3, 1500, "identity"), (5, 30, "leaky_relu(0.01)"), (1000, 1000, "relu")],
)  # fmt: skip
def test_products_of_chi_squares(width, depth, name, rng):
    """Sums of logarithms of drawn factors, on another route than the inversion: Kolmogorov."""
    net = mlp(width, depth, activation=name, weights=init.normal(variance=1 / width), output=None)
    law = length_law(net)
    logs = np.zeros(4000)
    slope = {"relu": 0.0, "identity": 1.0}.get(name)
    slope = float(name[11:-1]) if slope is None else slope
    for _ in range(depth):
        up = rng.binomial(width, 0.5, logs.size)
        first = 2 * rng.standard_gamma(up / 2)
        other = 2 * rng.standard_gamma((width - up) / 2)
        with np.errstate(divide="ignore"):
            logs = logs + np.log(first + slope**2 * other) - math.log(width)
    alive = logs > -np.inf
    assert stats.binomtest(int(alive.sum()), logs.size, 1 - law.dead).pvalue > LEVEL
    inverse = law._inverse
    assert stats.kstest(logs[alive], inverse.cdf).pvalue > LEVEL
    assert stats.kstest(logs[alive] + 0.25 * law.log_variance**0.5, inverse.cdf).pvalue <= LEVEL
    y = np.linspace(inverse.low, inverse.low + inverse.period, 4001)
    total = inverse.density(y)
    mean = np.trapezoid(y * total, y)
    assert np.trapezoid(total, y) == pytest.approx(1, abs=1e-12)
    assert mean == pytest.approx(law.log_mean, rel=1e-8, abs=1e-9)
    assert np.trapezoid((y - mean) ** 2 * total, y) == pytest.approx(law.log_variance, rel=1e-6)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "identity", "leaky_relu(0.2)", "abs"])
def test_drawn_networks(name, seed):
    """Real weights, widths 4, 3, 6, 5, 2, a real input: values and gradients at every node."""
    x = np.array([[1.0, -2.0, 0.5, 0.0]])
    net = mlp(widths=[4, 3, 6, 5, 2], activation=name, weights=init.normal(std=0.5))
    sample = simulate(net, x, draws=6000, seed=seed, engine="explicit", dtype="float64")
    for node, _, inputs in net:
        if inputs:
            law = length_law(net, x, node=node)
            found = sample.values(node, "second_moment")[:, 0]
            assert law.mean == pytest.approx(predict(net, x).value(node, "second_moment")[0])
            _judge(law, found)
        if node != net.output:
            law = gradient_law(net, node=node)
            expected = predict(net, x).value(node, "grad_second_moment")[0]
            assert law.mean == pytest.approx(expected)
            below = inputs[0] if node.startswith("dense") else node
            alive = sample.values(below, "second_moment")[:, 0] > 0
            _judge(law, sample.values(node, "grad_second_moment")[alive, 0])


def _judge(law, found):
    dead = int((found == 0).sum())
    assert stats.binomtest(dead, found.size, law.dead).pvalue > LEVEL
    alive = found[found > 0]
    inside = lambda x: (law.cdf(x) - law.dead) / (1 - law.dead)  # noqa: E731
    assert stats.kstest(alive, inside).pvalue > LEVEL
    assert stats.kstest(alive * 2, inside).pvalue <= LEVEL


def test_median_against_mean():
    """He keeps the mean at 1 while the median falls: e^(-beta/2) with beta = 5 L/n = 5."""
    law = length_law(mlp(100, 100, output=None))
    assert law.mean == pytest.approx(1) and law.beta == pytest.approx(5)
    assert 0.075 < law.median < 0.085
    grid = np.geomspace(1e-4, 30, 400)
    assert np.max(np.abs(law.cdf(grid) - law.log_normal_cdf(grid))) == pytest.approx(0.01, abs=0.01)


def test_one_more_layer_draws_to_the_log_normal():
    """Kolmogorov distance to the log-normal limit at n = L falls like 1/n."""
    distances = []
    for n in (16, 64, 256):
        law = length_law(mlp(n, n, output=None))
        grid = np.exp(np.linspace(-25, 8, 3000))
        distances.append(np.max(np.abs(law.cdf(grid) - law.log_normal_cdf(grid))))
    assert distances[0] > 3 * distances[1] > 9 * distances[2]


def test_sampling_is_the_law(rng):
    for name in ("relu", "leaky_relu(0.4)"):
        law = length_law(mlp(widths=[4, 3, 5, 2], activation=name), [1.0, 2.0, 0.0, -1.0])
        _judge(law, law.sample(20_000, rng))


def test_factor_of_a_mixture_is_even_in_the_slopes():
    """Scale(-1) and steeper negative slopes: only magnitudes count."""
    graph = Graph(3)
    x = graph.add(Elementwise("leaky_relu(3)"), graph.add(Dense(3, 4, "kaiming_normal"), "input"))
    graph.add(Scale(-0.5), x)
    law = length_law(graph.network())
    assert law.factors == (Factor(4, 2.0, 1.5, 0.5),)


def test_what_the_law_needs():
    for net, message in (
        (mlp(4, 2, weights="kaiming_uniform"), "centred Gaussian weights, and dense_1"),
        (mlp(4, 2, bias=init.normal()), "layers without bias, and dense_1"),
        (mlp(4, 2, activation="tanh"), "linear on both sides of zero, and tanh_1 is none"),
        (residual(4, 1), "that of a chain, and add_1 joins input, dense_2"),
        (
            mlp(4, 2, tied=True),
            "fresh weights in every layer, and weights are used again by dense_1",
        ),
        (mlp(4, 2, weights=init.zeros()), "centred Gaussian weights"),
        (mlp(4, 2, weights=init.normal(std=0)), "weights of dense_1 are all zero"),
    ):
        for law in (length_law, gradient_law):
            with pytest.raises(ValueError, match=message):
                law(net)
    graph = Graph(3)
    x = graph.add(Dense(3, 4, "kaiming_normal"), graph.input)
    first = graph.add(Elementwise("relu"), x)
    graph.add(Dense(4, 2, "kaiming_normal"), graph.add(Elementwise("relu"), first))
    with pytest.raises(ValueError, match="half of relu_1 is zero, where the next activation"):
        gradient_law(graph.network(), node="relu_1")
    net = mlp(4, 2)
    with pytest.raises(ValueError, match="one input, got 2; give one row"):
        length_law(net, np.ones((2, 4)))
    with pytest.raises(ValueError, match="length zero in every network"):
        length_law(net, np.zeros(4))
    with pytest.raises(ValueError, match="name a node above a layer"):
        length_law(net, node="input")
    with pytest.raises(ValueError, match="name a node below a dense layer"):
        gradient_law(net, node="dense_3")
    with pytest.raises(ValueError, match="give the network a readout"):
        gradient_law(mlp(4, 2, output=None))
    with pytest.raises(ValueError, match=r"one probability between 0 and 1, got 1\.5"):
        length_law(net).quantile(1.5)
    with pytest.raises(ValueError, match="this network has SymPy symbols"):
        length_law(mlp(sp.Symbol("n", positive=True), 2))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda law: law.cdf(np.nan), "a law is asked at real numbers, got nan; give a number or"),
        (lambda law: law.cdf("a"), "a law is asked at real numbers, got 'a'"),
        (lambda law: law.density([1.0, np.nan]), r"at real numbers, got \[1.0, nan\]"),
        (lambda law: law.log_density(None), "at real numbers, got None"),
        (lambda law: law.log_normal_cdf(np.nan), "at real numbers, got nan"),
        (lambda law: law.moment(-1), "k must be a finite number of at least 0, got -1; E M"),
        (lambda law: law.moment("a"), "k must be a finite number of at least 0, got 'a'"),
        (lambda law: law.quantile(2), "one probability between 0 and 1, got 2"),
        (lambda law: law.quantile(np.nan), "at real numbers, got nan"),
        (lambda law: law.quantile([0.1, 0.5]), r"one probability .* got \[0.1, 0.5\]"),
    ],
)
def test_a_law_refuses(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(length_law(mlp(4, 2)))


def test_the_ends_of_a_law():
    law = length_law(mlp(4, 2, activation="abs"))
    assert str(law).endswith("P(0) 0")
    assert law.cdf(np.inf) == pytest.approx(1, abs=1e-12) and law.cdf(-np.inf) == 0
    dying = length_law(mlp(2, 1))
    assert dying.dead > 0.2 and dying.moment(0) == 1
