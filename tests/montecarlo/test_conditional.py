"""The conditional engine: exact in law, and it says where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

import varprop as vp
from varprop.initializers import (
    constant,
    normal,
    orthogonal,
    trunc_normal,
    uniform,
    variance_scaling,
)
from varprop.layers import Add, Dense, Elementwise, Scale
from varprop.montecarlo.conditional import BLOCK, block_size, run, run_block, weights
from varprop.montecarlo.conditional.rows import Frame, Rows, frame
from varprop.montecarlo.streams import on_sphere
from varprop.network import Graph
from varprop.stats import holm, studentized_test

ERROR = 1e-6
CPU = torch.device("cpu")


def opposed(rng, n):
    x = rng.standard_normal(n)
    return np.stack([x, 2 * x, -x])


def near(rng, n):
    """1 - c = 1e-9."""
    x, d = rng.standard_normal((2, n))
    d -= (d @ x) / (x @ x) * x
    return np.stack([x, x + d * math.sqrt(2e-9 * (x @ x) / (d @ d))])


def many(rng, n):
    """More points than channels, a duplicate, a zero, and norms from 1e-3 to 1e3."""
    x = rng.standard_normal((n + 2, n)) * np.logspace(-3, 3, n + 2)[:, None]
    x[1] = x[0]
    x[2] = 0
    return x


def two(rng, n):
    return rng.standard_normal((2, n))


def branched(weights, bias, n=8, activation="gelu"):
    """Two layers read the input, a sum takes one value twice, a value is used in three places."""
    graph = Graph(n)
    x = graph.input
    a = graph.add(Dense(n, n, weights, bias), x)
    b = graph.add(Dense(n, n, weights), x)
    r = graph.add(Elementwise(activation), a)
    s = graph.add(Add(), r, graph.add(Scale(-0.7), b))
    t = graph.add(Add(), s, s)
    w = graph.add(Dense(n, n + 3, weights), t)
    v = graph.add(Dense(n + 3, n, weights), graph.add(Elementwise("tanh"), w))
    graph.add(Dense(n, 3, weights), graph.add(Add(), graph.add(Add(), v, r), x))
    return graph.network()


def shared(weights, n=8):
    """A layer that its activation and a sum read."""
    graph = Graph(n)
    a = graph.add(Dense(n, n, weights), graph.input)
    r = graph.add(Elementwise("relu"), a)
    graph.add(Dense(n, n, weights), graph.add(Add(), r, a))
    return graph.network()


LECUN = variance_scaling(1, "fan_in", "normal")
HAAR = orthogonal(gain=1.2)
CASES = {  # network, its inputs
    "relu": (vp.mlp(12, 4), None),
    "width 2": (vp.mlp(2, 3, activation="tanh", weights=LECUN), None),
    "width 3": (vp.mlp(3, 3, activation="softplus", weights=LECUN), two),
    "width 16": (vp.mlp(16, 2, weights=LECUN, bias=normal(variance=0.1)), two),
    "tanh": (
        vp.mlp(10, 3, activation="tanh", weights=normal(variance=0.2), bias=normal(variance=0.1)),
        two,
    ),
    "shifted": (
        vp.mlp(7, 2, activation="tanh", weights=normal(mean=0.2, std=0.3), bias=uniform(0, 1)),
        two,
    ),
    "near": (vp.mlp(10, 3), near),
    "dependent": (vp.mlp(8, 3, activation="gelu"), opposed),
    "many": (vp.mlp(widths=[3, 4, 2], activation="tanh", weights=LECUN), many),
    "rectangular": (vp.mlp(widths=[5, 16, 7, 3]), two),
    "exploding": (vp.mlp(8, 40, weights=normal(std=30)), None),
    "vanishing": (vp.mlp(8, 40, weights=normal(std=1e-2), bias=normal(std=1e-9)), None),
    "residual": (vp.residual(8, 2, activation="gelu", scale=0.8), None),
    "shared": (shared(LECUN), None),
    "branched": (branched(LECUN, normal(variance=0.1)), two),
    "haar": (vp.mlp(3, 3, activation="tanh", weights=HAAR), None),
    "haar pair": (vp.mlp(4, 2, activation="gelu", weights=HAAR, bias=normal(variance=0.1)), two),
    "haar rectangular": (vp.mlp(widths=[5, 16, 3, 4, 2], activation="tanh", weights=HAAR), two),
    "haar wide": (vp.mlp(widths=[16, 6, 4], activation="relu", weights=HAAR), None),
    "haar many": (vp.mlp(widths=[3, 4, 2], activation="tanh", weights=HAAR), many),
    "haar branched": (branched(HAAR, None, n=4), two),
}


def columns(sample):
    """{name: (draws,)}: all that is measured, and products that tell how the parts depend."""
    found, network = {}, sample.network
    for name, record in sample.records.items():
        for field, values in vars(record).items():
            flat = values.reshape(len(values), -1)
            found.update({(name, field, i): flat[:, i] for i in range(flat.shape[1])})
    last, first = sample.records[network.output], sample.records[network.input]
    for name, record in sample.records.items():
        forward, back = record.second[:, 0, 0], record.grad_second[:, 0, 0]
        found[name, "product"] = forward * back
        found[name, "forward"] = forward * last.second[:, 0, 0]
        found[name, "along"] = record.tangent_second[:, 0, 0] * first.grad_second[:, -1, -1]
        found[name, "tangent"] = record.tangent_second[:, -1, -1] * back
        if record.second.shape[-1] > 1:
            s = record.second
            sizes = s[:, 0, 0] + s[:, 1, 1]
            apart = sizes - 2 * s[:, 0, 1]  # of equal inputs it is rounding, and 0 in one engine
            found[name, "distance"] = np.where(np.abs(apart) > 1e-14 * sizes, apart, 0.0)
    return found


def smallest_p(a, b):
    """Kolmogorov-Smirnov tests of every column, adjusted by Holm; constants must be equal.

    In seven digits, so that rounding does not part the atoms of a law.
    """
    p_values, right = [], columns(b)
    for key, left in columns(a).items():
        size = max(np.abs(left).max(), np.abs(right[key]).max())
        if max(np.ptp(left), np.ptp(right[key])) <= 1e-5 * size:
            p_values.append(float(np.abs(left - right[key]).max() <= 1e-5 * size))
            continue
        pair = ((v / size).astype(np.float32) for v in (left, right[key]))
        p_values.append(float(stats.ks_2samp(*pair, method="asymp").pvalue))
    assert len(p_values) > 20
    return holm(p_values, ERROR).adjusted.min()


def compared(name, seed, rng, draws=3000, dtype="float64"):
    network, points = CASES[name]
    inputs = None if points is None else points(rng, network.sizes["input"])
    explicit = vp.simulate(
        network, inputs, draws=draws, seed=seed, engine="explicit", dtype="float64"
    )
    fast = vp.simulate(
        network, inputs, draws=draws, seed=seed + 1, engine="conditional", dtype=dtype
    )
    return smallest_p(explicit, fast)


@pytest.mark.statistical
@pytest.mark.parametrize("name", CASES)
def test_it_agrees_in_law_with_the_explicit_engine(name, seed, rng):
    """Every field of every record, and products of them: error rate 1e-6."""
    assert compared(name, seed, rng) > ERROR


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["relu", "haar wide", "haar pair", "exploding", "vanishing"])
def test_float32_has_the_same_law(name, seed, rng):
    assert compared(name, seed, rng, dtype="float32") > ERROR


def unseen(self, d, random):
    """The way back through weights that know nothing of the way forward."""
    noise = random.normal(*d.x.shape[:2], self.frame.basis.shape[-1])
    return self.s * (d.gram.sqrt() if d.x.shape[1] == 1 else weights.frame(d).lower) @ noise


def unprojected(self, y, coordinates):
    """What is known, added to noise that is not projected."""
    return y + coordinates @ self.e


def larger(law):
    """3 % too large on the way forward."""
    forward = law.forward

    def wrong(v, *arguments):
        h, known = forward(v, *arguments)
        return 1.03 * h, known

    return staticmethod(wrong)


def uniform_rows(self, d, random):
    """The way back through a Haar matrix as if it were Gaussian off what is known."""
    known, full = self.e.shape[1:]
    noise = random.normal(*d.x.shape[:2], full)
    noise = noise - noise @ self.e.mT @ self.e
    along = d.x @ self.image[..., : d.x.shape[-1]].mT
    rest = (d.gram - along @ along.mT).clamp_min(0).sqrt() / (full - known) ** 0.5
    return self.gain * (along @ self.e + rest * noise)[..., : self.fan_in]


FAULTS = {
    "independent weights on the way back": ("width 2", weights.Gaussian, "backward", unseen),
    "no projection": ("width 2", Frame, "replaced", unprojected),
    "3 % of a scale": ("tanh", weights.Gaussian, "forward", larger(weights.Gaussian)),
    "3 % of a gain": ("haar", weights.Haar, "forward", larger(weights.Haar)),
    "Gaussian in place of Haar": ("haar", weights.Haar, "backward", uniform_rows),
}


@pytest.mark.statistical
@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_a_fault(fault, seed, rng, monkeypatch):
    name, where, what, wrong = FAULTS[fault]
    monkeypatch.setattr(where, what, wrong)
    assert compared(name, seed, rng, draws=10_000) < ERROR


VECTORS = {  # (draws, k, n) of any kind, and the dtypes that hold them
    "general": lambda v: v,
    "far apart": lambda v: v * torch.logspace(-9, 9, v.shape[1])[:, None],
    "nearly equal": lambda v: v[:, :1] + 1e-6 * v,
    "equal": lambda v: v[:, [0] * v.shape[1]],
    "zero": lambda v: v * (torch.arange(v.shape[1]) % 2)[:, None],
}


@dataclass
class Plain:
    """Random numbers for one layer; `coarse` ones are of float32."""

    generator: torch.Generator
    dtype: torch.dtype = torch.float64
    coarse: bool = False

    def normal(self, *shape, keep=False):
        kind = torch.float32 if self.coarse else self.dtype
        return torch.randn(*shape, generator=self.generator, dtype=kind).to(self.dtype)

    def empty(self, *shape):
        return torch.empty(*shape, dtype=self.dtype)


def layer(kind, v, size, generator):
    random = Plain(generator, v.x.dtype)
    if kind == "Haar":
        h, known = weights.Haar.forward(v, 0.7, size, random)
    else:
        h, known = weights.Gaussian.forward(v, 0.1, 0.7, size, random)
    return h, lambda d: known.backward(d, random)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("vectors", VECTORS)
@pytest.mark.parametrize("size", [3, 9, 14])
@pytest.mark.parametrize("kind", ["Gaussian", "Haar"])
def test_the_way_back_belongs_to_the_way_forward(kind, size, vectors, dtype, generator):
    """(d W) . v = d . (v W') for each pair of vectors in each draw, to rounding."""
    v = torch.randn(64, 4, 9, generator=generator, dtype=torch.float64)
    v = Rows.of(VECTORS[vectors](v).to(dtype))
    d = Rows.of(torch.randn(64, 3, size, generator=generator, dtype=dtype))
    h, back = layer(kind, v, size, generator)
    left, right = back(d) @ v.x.mT, d.x @ h.mT
    scale = d.x.norm(dim=-1)[:, :, None] * v.x.norm(dim=-1)[:, None]
    limit = 4e3 * torch.finfo(dtype).eps  # 64 draws of ill-conditioned frames
    assert ((left - right).abs() <= limit * scale).all()
    other, _ = layer(kind, v, size, generator)
    different = (left - d.x @ other.mT).abs() > limit * scale
    assert different.any() or not v.x.any()


def almost_dependent_then_dependent(x, part):
    """Of k rows in k - 1 dimensions, the third nearly in the span of the first two."""
    x[..., x.shape[1] - 1 :] = 0
    x[:, 2] = 0.3 * x[:, 0] - 0.5 * x[:, 1] + part * x[:, 2]
    return x


def each_near_the_one_before(x, part):
    """Every row has the part `part` off the span of those before it, all together far less."""
    x = torch.linalg.qr(x.mT)[0].mT.contiguous()
    return torch.cat([x[:, :1], x[:, :-1] + part * x[:, 1:]], 1)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.02, 1e-3, 1e-5])
@pytest.mark.parametrize("rows", [almost_dependent_then_dependent, each_near_the_one_before])
def test_a_frame_is_orthonormal_where_rounding_looks_like_independence(
    rows, part, strict, generator
):
    """Rounding of a Gram matrix grows by the dependence of all rows before: none may be trusted.

    Each draw has a frame of its own here, as one that is seen to be dependent mends its block.
    """
    for k in (4, 6):
        x = rows(torch.randn(100, k, 16, generator=generator, dtype=torch.float64), part)
        for one in x.split(1):
            known = frame(Rows.of(one), strict=strict)
            live = torch.diag_embed(known.live[..., 0].double())
            assert (known.e @ known.e.mT - live).abs().max() < 1e-11
            assert (known.lower @ known.e - one).abs().max() < 1e-7 * one.abs().max()
            if rows is almost_dependent_then_dependent:
                assert known.lower[0, -1, -1] < 1e-13


def test_a_tall_haar_layer_keeps_every_product(generator):
    v = Rows.of(torch.randn(64, 5, 6, generator=generator, dtype=torch.float64))
    h, _ = layer("Haar", v, 11, generator)
    assert torch.allclose(h @ h.mT, 0.49 * v.gram)


@pytest.mark.parametrize("points", [2, 12])
def test_a_complete_frame_leaves_nothing_to_chance(points, generator):
    """As many vectors as channels: the way back is one number, known from the way forward."""
    v = Rows.of(torch.randn(16, max(points, 6), 6, generator=generator, dtype=torch.float64))
    d = Rows.of(torch.randn(16, 2, 6, generator=generator, dtype=torch.float64))
    for kind in ("Gaussian", "Haar"):
        _, back = layer(kind, v, 6, generator)
        assert torch.allclose(back(d), back(d))


@pytest.mark.statistical
def test_the_difference_of_nearly_equal_inputs_keeps_its_law(generator):
    """1 - c = 5e-13: |h - h'|^2 / |v - v'|^2 is chi-square, for float32 random numbers too."""
    v = torch.randn(4000, 1, 9, generator=generator, dtype=torch.float64)
    step = torch.randn(4000, 1, 9, generator=generator, dtype=torch.float64)
    v = torch.cat([v, v + 1e-6 * step * v.norm(dim=-1, keepdim=True) / 3], 1)
    random = Plain(generator, coarse=True)
    h, _ = weights.Gaussian.forward(Rows.of(v), 0.0, 1.0, 5, random)
    square = ((h[:, 0] - h[:, 1]).square().sum(-1) / (v[:, 0] - v[:, 1]).square().sum(-1)).numpy()
    assert stats.kstest(square, "chi2", (5,)).pvalue > ERROR
    assert stats.kstest(1.1 * square, "chi2", (5,)).pvalue < ERROR


@pytest.mark.statistical
def test_the_exact_law_of_finite_width(seed):
    """E (|x_L|^2/n)^2 = (1 + 5/n)^L for He's network (Hanin & Nica 2020)."""
    n, depth, draws = 128, 3, 20_000
    sample = vp.simulate(vp.mlp(n, depth), draws=draws, seed=seed, engine="conditional")
    squares = sample.values(f"relu_{depth}", "second_moment")[:, 0] ** 2

    def p_value(expected):
        return studentized_test(squares / expected - 1, 0.0, ERROR).p_value

    assert p_value((1 + 5 / n) ** depth) > ERROR
    assert p_value((1 + 5 / n) ** (depth + 2)) < ERROR
    assert p_value((1 + 2 / n) ** depth) < ERROR


def test_equal_inputs_have_equal_outputs(seed):
    x = np.linspace(-1, 2, 6)
    records = run_block(vp.mlp(6, 3), np.stack([x, x]), seed, 0, CPU, dtype=torch.float32)
    for record in records.values():
        assert np.allclose(record.second, record.second[:, :1, :1], rtol=1e-12, atol=0)
        assert np.allclose(record.grad_second, record.grad_second[:, :1, :1], rtol=1e-9)


@pytest.mark.parametrize("points", [None, 2])
def test_without_the_way_back_the_values_have_the_same_law(points, seed, rng):
    """Blocks of other streams, by Kolmogorov-Smirnov; more depth is told apart."""
    x = None if points is None else rng.standard_normal((points, 5))
    whole, half = (
        run_block(vp.mlp(5, 2, activation="elu"), x, seed, block, CPU, backward=back)
        for block, back in ((0, True), (1, False))
    )
    for name, record in half.items():
        absent = {f for f, value in vars(record).items() if value is None}
        assert absent == {"tangent_mean", "tangent_second", "tangent_cross", "grad_second"}
        pairs = (r[name].second.reshape(BLOCK, -1).T for r in (half, whole))
        for a, b in zip(*pairs, strict=True):
            assert name == "input" or stats.ks_2samp(a, b).pvalue > ERROR
    last, first = half["elu_2"].second[:, 0, 0], half["dense_1"].second[:, 0, 0]
    assert stats.ks_2samp(last, first).pvalue < ERROR


@pytest.mark.parametrize("points", [None, 2])
def test_float32_is_rounding_away_from_float64(points, seed, rng, monkeypatch):
    """The same draws: random numbers of float32, vectors of float32 or float64."""
    network = vp.mlp(64, 10, activation="tanh")
    x = None if points is None else rng.standard_normal((points, 64))
    coarse = run_block(network, x, seed, 0, CPU, dtype=torch.float32)
    monkeypatch.setattr(run._Random, "normal", _coarse)
    monkeypatch.setattr(run, "on_sphere", lambda *a: on_sphere(*a[:-1], torch.float32))
    fine = run_block(network, x, seed, 0, CPU, dtype=torch.float64)
    for name, record in coarse.items():
        for field, values in vars(record).items():
            truth = getattr(fine[name], field)
            assert np.abs(values - truth).max() <= 1e-4 * np.abs(truth).max(), (name, field)


def _coarse(self, *shape, keep=False):
    return torch.randn(*shape, generator=self.how["generator"]).double()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (vp.mlp(4, 1, weights="kaiming_uniform"), "dense_1 has weights that are neither Gaussian"),
        (vp.mlp(4, 1, weights=trunc_normal()), "dense_1 has weights that are neither Gaussian"),
        (vp.mlp(4, 1, weights="eye"), "dense_1 has weights that are neither Gaussian nor Haar"),
        (vp.mlp(4, 2, tied=True), "dense_2 uses the weights of dense_1 again"),
    ],
)
def test_it_refuses_what_it_is_not_exact_for(network, words, seed):
    with pytest.raises(ValueError, match=f"not exact here: .*{words}.*; use 'explicit'"):
        vp.simulate(network, draws=2, seed=seed, engine="conditional")
    assert vp.simulate(network, draws=2, seed=seed).engine == "explicit"


@pytest.mark.parametrize(
    "given",
    [
        {"weights": orthogonal()},
        {"weights": normal(mean=0.1)},
        {"weights": constant(0.3)},
        {"bias": uniform()},
        {"bias": constant(0.5)},
        {"bias": "zeros"},
    ],
)
def test_it_is_taken_where_it_is_exact(given, seed):
    assert vp.simulate(vp.mlp(4, 1, **given), draws=2, seed=seed).engine == "conditional"


def test_it_refuses_coarse_numbers(seed):
    with pytest.raises(ValueError, match=r"float32 or float64, got torch.float16; use engine='exp"):
        run_block(vp.mlp(4, 1), None, seed, 0, CPU, dtype=torch.float16)


def test_blocks_of_large_networks_hold_fewer_draws():
    """What a block holds is bounded, whatever the depth, the width and the number of inputs."""
    small, deep = vp.mlp(256, 50), vp.mlp(64, 4000)
    assert block_size(small, 1) == BLOCK
    for network, points in ((small, 16), (deep, 1), (deep, 40)):
        draws = block_size(network, points)
        neurons = points * sum(network.sizes.values())
        assert 1 <= draws < BLOCK
        assert draws == 1 or 24 * draws * neurons <= 2**29 < 48 * draws * neurons
