"""Jacobian spectra against Fuss-Catalan numbers, known laws, and roots at 50 digits."""

from itertools import pairwise
from math import comb

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from scipy import integrate

import varprop as vp
from varprop.theory.spectra.free import Factor, inverse_s, product_moments
from varprop.theory.spectra.gated import Gated
from varprop.theory.spectra.series import multiply, power
from varprop.theory.spectra.slopes import slope_atoms, slope_moments

X = sp.Symbol("x")
HARD = vp.custom_activation("hard_tanh", sp.Max(-1, sp.Min(1, X)))
CASES = [
    pytest.param("identity", "gaussian", 1, id="linear-1"),
    pytest.param("identity", "gaussian", 2, id="linear-2"),
    pytest.param("identity", "gaussian", 9, id="linear-9"),
    pytest.param("relu", "gaussian", 1, id="relu-gaussian-1"),
    pytest.param("relu", "gaussian", 2, id="relu-gaussian-2"),
    pytest.param("relu", "gaussian", 7, id="relu-gaussian-7"),
    pytest.param("relu", "orthogonal", 2, id="relu-orthogonal-2"),
    pytest.param("relu", "orthogonal", 3, id="relu-orthogonal-3"),
    pytest.param("relu", "orthogonal", 12, id="relu-orthogonal-12"),
]
MIXED = [
    Gated(1.3, ((0.9, 1), (0.5, 3)), 1),
    Gated(0.8, ((0.9, 4),), 0),  # gates so wide that an atom stays at the top
    Gated(1.0, ((0.9, 1), (0.5, 1)), 0),  # a gap above zero
    Gated(2.0, ((0.3, 2), (0.7, 2)), 2),
]


def gated(activation: str, weights: str, depth: int) -> Gated:
    return vp.jacobian_spectrum(activation, depth, weights=weights)._gated


def factors_of(law: Gated, order: int) -> list[Factor]:
    """The same law as free factors, for the route by series."""
    parts = [Factor(law.scale, True, (1.0,) * order)]
    parts += [Factor(1.0, True, (p,) * order, count=k) for p, k in law.gates]
    return [*parts, Factor(1.0, False, (1.0,) * order, count=law.iid)]


def integral(law: Gated, function) -> float:
    """E f over the law: its density by quadrature in an angle that tames both ends, and atoms."""
    low, high = law.edges
    node, weight = np.polynomial.legendre.leggauss(600)
    t, weight = (node + 1) * np.pi / 4, weight * np.pi / 4
    s = np.sin(t) ** 2  # x = low + width s^26: the density may grow like x^(-L/(L+1)) at zero
    x = low + (high - low) * s**POWER
    jacobian = (high - low) * POWER * s ** (POWER - 1) * 2 * np.sin(t) * np.cos(t)
    continuous = np.sum(weight * law.density(x) * function(x) * jacobian)
    return continuous + sum(m * function(place) for place, m in law.atoms)


POWER = 26


@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_linear_moments_are_fuss_catalan_numbers(depth):
    spectrum = vp.jacobian_spectrum("identity", depth)
    for k in range(1, 9):
        catalan = sp.Rational(comb((depth + 1) * k, k), depth * k + 1)
        assert spectrum.moment(k) == pytest.approx(float(catalan), rel=1e-12)


def test_symbolic_depth_gives_fuss_catalan_polynomials():
    L = sp.Symbol("L", positive=True, integer=True)
    spectrum = vp.jacobian_spectrum("identity", L)
    for k in range(1, 7):
        stated = sp.ff((L + 1) * k, k) / sp.factorial(k) / (L * k + 1)
        assert sp.simplify(sp.expand_func(stated) - spectrum.moment(k)) == 0


@pytest.mark.parametrize("activation, weights, depth", CASES)
def test_density_with_its_atoms_has_the_moments_of_the_series(activation, weights, depth):
    spectrum, law = (
        vp.jacobian_spectrum(activation, depth, weights=weights),
        gated(activation, weights, depth),
    )
    assert integral(law, lambda x: 1.0) == pytest.approx(1, abs=1e-9)
    for k in (1, 2, 4):
        assert integral(law, lambda x, k=k: x**k) == pytest.approx(spectrum.moment(k), rel=1e-9)


@pytest.mark.parametrize("law", MIXED)
def test_mixed_layers_have_the_moments_of_the_series(law):
    moments = product_moments(factors_of(law, 4), 4)
    assert integral(law, lambda x: 1.0) == pytest.approx(1, abs=1e-9)
    for k in (1, 2, 4):
        assert integral(law, lambda x, k=k: x**k) == pytest.approx(moments[k - 1], rel=1e-9)


@pytest.mark.parametrize("law", [*(gated(*case.values) for case in CASES), *MIXED])
def test_survival_is_the_integral_of_the_density(law):
    low, high = law.edges
    marks = low + (high - low) * np.array([0.01, 0.2, 0.55, 0.9])
    for a, b in pairwise(marks):
        mass = integrate.quad(lambda x: float(law.density(x)), a, b, epsabs=1e-12)[0]
        assert float(law.survival(a) - law.survival(b)) == pytest.approx(mass, abs=1e-10)
    atoms = dict(law.atoms)
    top = sum(m for place, m in law.atoms if place > high)
    assert float(law.survival(high * (1 - 1e-12))) == pytest.approx(top, abs=1e-5)
    assert float(law.survival(low / 2)) == pytest.approx(1 - atoms.get(0.0, 0.0), abs=1e-12)
    assert float(law.survival(-1.0)) == pytest.approx(1, abs=1e-12)


def test_one_gaussian_layer_is_the_quarter_circle_law():
    law, x = gated("identity", "gaussian", 1), np.linspace(0.001, 3.999, 500)
    np.testing.assert_allclose(law.density(x), np.sqrt((4 - x) / x) / (2 * np.pi), rtol=1e-9)


def test_one_relu_layer_is_marchenko_pastur():
    """D W W' D: n/2 open rows of n, entries of variance 2/n, so 2 MP(1/2), and half the mass."""
    law = gated("relu", "gaussian", 1)
    low, high = 2 * (1 - 0.5**0.5) ** 2, 2 * (1 + 0.5**0.5) ** 2
    np.testing.assert_allclose(law.edges, (low, high), rtol=1e-12)
    x = np.linspace(low, high, 101)[1:-1]
    stated = np.sqrt((high - x) * (x - low)) / (4 * np.pi * x)
    # (n/2 rows: MP of ratio 1/2 for W W'/2, density sqrt(..)/(2 pi ratio x scale), times 1/2)
    np.testing.assert_allclose(law.density(x), stated, rtol=1e-9)


def test_two_free_projections_follow_their_known_law():
    """P Q P with p = q = 1/2: the arcsine law on [0, 1] with half the mass."""
    law, x = Gated(1.0, ((0.5, 2),), 0), np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(law.density(x), 0.5 / np.pi / np.sqrt(x * (1 - x)), rtol=1e-9)


@pytest.mark.parametrize("activation, weights, depth", CASES)
def test_density_is_minus_im_g_over_pi_at_50_digits(activation, weights, depth):
    """lambda S(z) = (1 + z)/z, followed at 50 digits from z = m_1/lambda far off the axis."""
    law = gated(activation, weights, depth)
    shut = sum(k for _, k in law.gates)
    for share in (0.003, 0.3, 0.97):
        eigenvalue = law.edges.low + share * (law.edges.high - law.edges.low)
        with mp.workdps(50):
            z, ones, half = None, 1 + law.iid - shut, mp.mpf(1) / 2
            for height in [*(mp.mpf(10) ** (3 - k / 10) for k in range(150)), mp.mpf(0)]:
                point = eigenvalue + 1j * height * law.edges.high
                z = 1 / point if z is None else z
                for _ in range(12):  # Newton's method for the logarithm of the equation
                    right = law.scale * (1 + z) ** ones * (half + z) ** shut / z
                    z -= mp.log(right / point) / (ones / (1 + z) + shut / (half + z) - 1 / z)
                assert abs(right / point - 1) < 1e-40
            density = abs(mp.im(z)) / mp.pi / eigenvalue
        assert float(law.density(eigenvalue)) == pytest.approx(float(density), rel=1e-11)


@pytest.mark.parametrize("depth", [2, 3, 10, 100])
def test_edges_of_papers(depth):
    def edge(activation: str, weights: str) -> float:
        return gated(activation, weights, depth).edges.high

    L = mp.mpf(depth)
    assert edge("identity", "gaussian") == pytest.approx(float((L + 1) ** (L + 1) / L**L), 1e-12)
    assert edge("relu", "orthogonal") == pytest.approx(float(L**L / (L - 1) ** (L - 1)), 1e-12)
    z = (mp.sqrt(L**2 + 1) - (L - 1)) / (2 * L)
    assert edge("relu", "gaussian") == pytest.approx(float((1 + z) / z * (1 + 2 * z) ** L), 1e-12)


def test_orthogonal_linear_network_is_one_atom():
    spectrum = vp.jacobian_spectrum("identity", 7, weights="orthogonal")
    assert spectrum.atoms == ((1.0, 1.0),)
    assert spectrum.edges is None
    assert spectrum.variance == pytest.approx(0, abs=1e-12)
    assert not np.any(spectrum.density([0.5, 1.0, 1.5]))
    assert spectrum.survival(np.array([0.5, 1.5])) == pytest.approx([1, 0])


@pytest.mark.parametrize("weights, gaussian", [("gaussian", 1), ("orthogonal", 0)])
@pytest.mark.parametrize("activation", ["tanh", "erf", "gelu", "leaky_relu", HARD])
def test_variance_is_penningtons_formula(activation, weights, gaussian):
    phi = vp.activation(activation)
    gain, bias, depth = (1.3, 0.1, 12)
    spectrum = vp.jacobian_spectrum(
        phi, depth, weights=weights, weight_variance=gain, bias_variance=bias
    )
    q = 1.0 if phi.homogeneous else _fixed_point(phi, gain, bias)
    with mp.workdps(20):
        mu = [_slope_moment(phi, q, 2 * k) for k in (1, 2)]
    assert spectrum.mean == pytest.approx((gain * mu[0]) ** depth, rel=1e-9)
    stated = depth * (mu[1] / mu[0] ** 2 - 1 + gaussian)
    assert spectrum.relative_variance == pytest.approx(stated, rel=1e-9)


def _fixed_point(phi: vp.Activation, gain: float, bias: float) -> float:
    """q = gain E phi(sqrt(q) Z)^2 + bias, by mpmath's secant method on an integral of its own."""
    value = sp.lambdify(sp.Symbol("x", real=True), phi.expression, "mpmath")
    marks = [-12, *sorted(phi.kinks), 12] if phi.kinks else range(-12, 13, 4)

    def change(q):
        if q <= 0:
            return mp.mpf(1)

        def square(t):
            return value(mp.sqrt(q) * t) ** 2 * mp.npdf(t)

        return (
            gain
            * mp.quad(square, [m / mp.sqrt(q) if phi.kinks and abs(m) < 12 else m for m in marks])
            + bias
            - q
        )

    low, high = mp.mpf("1e-3"), mp.mpf(100)
    return float(mp.findroot(change, (low, high), solver="anderson", tol=1e-24))


def _slope_moment(phi: vp.Activation, q: float, k: int) -> float:
    slope = sp.lambdify(sp.Symbol("x", real=True), phi.derivative, "mpmath")
    marks = [-mp.inf, *sorted(phi.kinks), mp.inf] if phi.kinks else [-mp.inf, 0, mp.inf]
    density = lambda z: mp.exp(-z * z / (2 * q)) / mp.sqrt(2 * mp.pi * q)  # noqa: E731
    return float(mp.quad(lambda z: slope(z) ** k * density(z), marks))


def test_a_fixed_point_that_is_approached_slowly():
    """gelu at chi_parallel = 0.988: the plain iteration needs thousands of layers."""
    gain, bias = 1.97, 0.3
    q = _fixed_point(vp.activation("gelu"), gain, bias)
    spectrum = vp.jacobian_spectrum("gelu", 3, weight_variance=gain, bias_variance=bias)
    mu = [_slope_moment(vp.activation("gelu"), q, 2 * k) for k in (1, 2)]
    assert spectrum.mean == pytest.approx((gain * mu[0]) ** 3, rel=1e-9)
    assert spectrum.relative_variance == pytest.approx(3 * mu[1] / mu[0] ** 2, rel=1e-9)


def test_fixed_point_at_zero_gives_the_slope_there():
    spectrum = vp.jacobian_spectrum("tanh", 5, weight_variance=0.8)
    assert spectrum.mean == pytest.approx(0.8**5, rel=1e-9)
    assert (
        vp.jacobian_spectrum("tanh", 5, weights="orthogonal", weight_variance=0.8).variance < 1e-9
    )


def test_a_kink_at_the_fixed_point_zero_counts_both_slopes():
    """selu' is lambda right of zero and lambda alpha left of it."""
    spectrum = vp.jacobian_spectrum("selu", 3, weight_variance=0.4)
    scale, alpha = 1.0507009873554804934, 1.6732632423543772848
    assert spectrum.mean == pytest.approx((0.4 * scale**2 * (1 + alpha**2) / 2) ** 3, rel=1e-9)


def test_published_tanh_numbers():
    """Pennington et al. (2017): near-isometry at small q* needs orthogonal weights."""
    how = {"weight_variance": 1.05, "bias_variance": 2.01e-5}
    assert vp.jacobian_spectrum("tanh", 32, weights="orthogonal", **how).variance < 0.15
    assert vp.jacobian_spectrum("tanh", 32, **how).variance > 32


def test_slope_atoms_of_piecewise_linear_activations(rng):
    assert slope_atoms(vp.activation("relu"), 0.3) == (
        (0, sp.Rational(1, 2)),
        (1, sp.Rational(1, 2)),
    )
    assert slope_atoms(vp.activation("tanh"), 0.3) is None
    atoms = slope_atoms(HARD, 0.7)
    assert [value for value, _ in atoms] == [0, 1, 0]
    inside = float(mp.ncdf(1 / mp.sqrt(0.7)) - mp.ncdf(-1 / mp.sqrt(0.7)))
    assert float(atoms[1][1]) == pytest.approx(inside, rel=1e-12)
    leaky = vp.activation("leaky_relu", a=0.5)
    assert slope_moments(leaky, 2.0)[1] == pytest.approx((1 + 0.5**4) / 2, rel=1e-12)


def test_series_against_polynomials():
    z, e = sp.symbols("z e")
    a, b = (2, 3, sp.Rational(1, 5), 7), (1, -1, 4, 2)
    product = sp.expand(
        sum(v * z**k for k, v in enumerate(a)) * sum(v * z**k for k, v in enumerate(b))
    )
    assert multiply(a, b) == tuple(product.coeff(z, k) for k in range(4))
    base = sum(v * z**k for k, v in enumerate(a))
    series = sp.series(base**e, z, 0, 4).removeO()
    for k, value in enumerate(power(a, e)):
        assert sp.simplify(series.coeff(z, k) - value) == 0


def test_inverse_s_of_a_projection_is_its_closed_form():
    """S(z) = (1 + z)/(p + z)."""
    p, z = sp.symbols("p z", positive=True)
    stated = sp.series((p + z) / (1 + z), z, 0, 5).removeO()
    for k, value in enumerate(inverse_s((p,) * 5)):
        assert sp.simplify(stated.coeff(z, k) - value) == 0


def test_a_network_is_read_layer_by_layer():
    """Different layers: the factors of each, with the second moments that predict gives."""
    graph = vp.Graph(32)
    node = graph.input
    for phi, law in (("tanh", "lecun_normal"), ("relu", vp.init.orthogonal())):
        node = graph.add(vp.Elementwise(phi), graph.add(vp.Dense(32, 32, law), node))
    graph.add(vp.Dense(32, 32, "lecun_uniform"), node)
    spectrum = vp.jacobian_spectrum(graph.network())
    mu = [_slope_moment(vp.activation("tanh"), 1.0, 2 * k) for k in (1, 2)]
    assert spectrum.depth == 3
    assert spectrum.mean == pytest.approx(mu[0] / 2, rel=1e-9)
    assert spectrum.relative_variance == pytest.approx(mu[1] / mu[0] ** 2 + 1 + 1, rel=1e-9)


def test_networks_and_activations_agree():
    net = vp.mlp(20, 4, weights="kaiming_normal", output=None)
    assert vp.jacobian_spectrum(net).factors == vp.jacobian_spectrum("relu", 4).factors
    assert str(vp.jacobian_spectrum(net)) == (
        "spectrum of J J' over 4 layers: mean 1, relative variance 8"
    )


def _tied() -> vp.Network:
    graph = vp.Graph(8)
    first = graph.add(vp.Dense(8, 8, "lecun_normal"), graph.input)
    graph.add(vp.Dense(8, 8, "lecun_normal", tied=first), first)
    return graph.network()


def _skip() -> vp.Network:
    return vp.residual(8, 2)


@pytest.mark.parametrize(
    "arguments, keywords, message",
    [
        (("relu",), {}, "depth must be a positive integer or a SymPy symbol"),
        (("relu", 0), {}, "got 0"),
        (("relu", 3), {"weights": "uniform"}, "weights must be 'gaussian' or 'orthogonal', got"),
        (("tanh", 3), {}, "tanh needs weight_variance"),
        (("relu", 3), {"inputs": [[1.0]]}, "varprop Network is needed"),
        ((3, 3), {}, "varprop Network is needed, got int"),
        ((vp.mlp(8, 2), 3), {}, "a network has its own depth"),
        ((vp.mlp(8, 2, output=4),), {}, r"square network, got widths \[4, 8\]"),
        ((_tied(),), {}, "some are tied"),
        ((_skip(),), {}, "chain of dense layers"),
        ((vp.mlp(4, 2),), {"inputs": np.eye(4)}, "belongs to one input, got 4"),
        ((vp.mlp(8, 2, weights=vp.init.sparse(0.5)),), {}, "needs iid or orthogonal weights"),
        (("gelu", 3), {"weight_variance": 9.0}, r"gelu has no finite fixed point .* lower the wei"),
        (
            ("tanh", 3),
            {"weight_variance": -1},
            r"weight_variance must be .* above 0, .* got -1; it",
        ),
        (("relu", 3), {"weight_variance": 0}, "weight_variance must be .* got 0; it is n Var"),
        (("tanh", 3), {"weight_variance": float("nan")}, "weight_variance must be .* got nan"),
        (("tanh", 3), {"weight_variance": "a"}, "weight_variance must be .* got 'a'"),
        (("tanh", 3), {"weight_variance": X}, "fixed point of tanh needs numbers, .* variance x"),
        (("tanh", 3), {"weight_variance": 1, "bias_variance": -5}, "at least 0, .* got -5; it is"),
        (("sign", 3), {"weight_variance": 1.0}, "without jumps, and sign jumps at 0.0.* hard tanh"),
        (("step", 3), {}, "without jumps, and step jumps at 0.0"),
        ((vp.mlp(8, 2, activation="sign"),), {}, "without jumps, and sign jumps at 0.0"),
        (
            (vp.custom_activation("cube", X**3), 3),
            {"weight_variance": 0.01},
            "phi' of cube is zero",
        ),
    ],
)
def test_what_is_refused(arguments, keywords, message):
    with pytest.raises(ValueError, match=message):
        vp.jacobian_spectrum(*arguments, **keywords)


def test_densities_and_moments_that_are_not_there():
    with pytest.raises(ValueError, match=r"where phi'\^2 takes one value besides zero"):
        _ = vp.jacobian_spectrum("tanh", 3, weight_variance=1.5).edges
    with pytest.raises(ValueError, match="has SymPy symbols; give a numeric depth"):
        vp.jacobian_spectrum("relu", sp.Symbol("L")).density(1.0)
    with pytest.raises(ValueError, match="whole number 1 to 8, got 9"):
        vp.jacobian_spectrum("relu", 3).moment(9)
