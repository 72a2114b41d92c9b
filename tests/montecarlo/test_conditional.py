"""The conditional engine: exact in law, and it says where it is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import varprop as vp
from varprop.initializers import constant, normal, orthogonal, trunc_normal, uniform
from varprop.montecarlo.conditional import _root, _transposed
from varprop.stats import holm, studentized_test

ERROR = 1e-6


def opposed(rng, n):
    x = rng.standard_normal(n)
    return np.stack([x, 2 * x, -x])


def near(rng, n):
    x, d = rng.standard_normal((2, n))
    d -= (d @ x) / (x @ x) * x
    return np.stack([x, x + d * math.sqrt(2e-10 * n / (d @ d))])


CASES = {
    "relu": (lambda: vp.mlp(12, 4), None),
    "tanh": (
        lambda: vp.mlp(
            10, 3, activation="tanh", weights=normal(variance=0.2), bias=normal(variance=0.1)
        ),
        lambda rng: rng.standard_normal((2, 10)),
    ),
    "near": (lambda: vp.mlp(10, 3), lambda rng: near(rng, 10)),
    "dependent": (lambda: vp.mlp(8, 3, activation="gelu"), lambda rng: opposed(rng, 8)),
    "rectangular": (lambda: vp.mlp(widths=[5, 16, 7, 3]), lambda rng: rng.standard_normal((2, 5))),
    "residual": (lambda: vp.residual(8, 2, activation="gelu", scale=0.8), None),
}


def columns(sample):
    """(draws, tests): everything measured, and its square where fluctuation matters."""
    found = {}
    for name, record in sample.records.items():
        for field, values in vars(record).items():
            flat = values.reshape(len(values), -1)
            for i in range(flat.shape[1]):
                found[name, field, i] = flat[:, i]
                if field in ("second", "grad_second", "tangent_second"):
                    found[name, field + " squared", i] = flat[:, i] ** 2
    return found


def smallest_p(a, b):
    """Two-sample studentized tests of pairs of draws; Holm. Constants must be equal."""
    p_values = []
    right = columns(b)
    for key, left in columns(a).items():
        difference = left - right[key]
        size = np.abs(left).max()
        if np.ptp(difference) <= 1e-6 * size:
            assert np.abs(difference).max() <= 1e-5 * size, key
            continue
        try:
            p_values.append(float(studentized_test(difference, 0.0, 1e-8).p_value))
        except ValueError:  # too skewed for this level: no test, no claim
            continue
    assert len(p_values) > 20
    return holm(p_values, ERROR).adjusted.min()


@pytest.mark.statistical
@pytest.mark.parametrize("name", CASES)
def test_it_agrees_in_law_with_the_explicit_engine(name, seed, rng):
    """Differences of independent draws have mean zero, symmetric laws: error rate 1e-6."""
    make, points = CASES[name]
    network, inputs = make(), None if points is None else points(rng)
    how = {"draws": 4000, "dtype": "float64"}
    explicit = vp.simulate(network, inputs, seed=seed, engine="explicit", **how)
    fast = vp.simulate(network, inputs, seed=seed + 1, engine="conditional", **how)
    assert smallest_p(explicit, fast) > ERROR


@pytest.mark.statistical
def test_the_comparison_of_engines_sees_a_fault(seed, rng, monkeypatch):
    """Independent weights on the way back: no mean moves, only E log(1 + value x gradient).

    Measured effect .10, standard deviation 1.7: 9 standard errors at these draws, 4.9 decide.
    """
    network = vp.mlp(6, 3)
    how = {"draws": 24_000, "dtype": "float64"}
    explicit = vp.simulate(network, seed=seed, engine="explicit", **how)
    module = vp.montecarlo.conditional
    monkeypatch.setattr(
        module, "_transposed", lambda v, h, d, noise, variance: noise * variance**0.5 * _norm(d)
    )
    fast = vp.simulate(network, seed=seed + 1, engine="conditional", **how)
    found = fast.values("input", "grad_second_moment") * fast.values("dense_4", "second_moment")
    truth = explicit.values("input", "grad_second_moment") * explicit.values(
        "dense_4", "second_moment"
    )
    joint = studentized_test((np.log1p(found) - np.log1p(truth))[:, 0], 0.0, ERROR)
    assert joint.p_value < ERROR


@pytest.mark.statistical
def test_the_tests_in_law_see_a_tenth_of_a_scale(seed, monkeypatch):
    """Second moments 21 % off, 16 standard errors in the first layer."""
    explicit = vp.simulate(vp.mlp(12, 4), draws=4000, seed=seed, engine="explicit")
    module = vp.montecarlo.conditional
    monkeypatch.setattr(module, "_root", lambda gram: 1.1 * _root(gram))
    fast = vp.simulate(vp.mlp(12, 4), draws=4000, seed=seed + 1, engine="conditional")
    assert smallest_p(explicit, fast) < ERROR


def _norm(d):
    return d.norm(dim=-1, keepdim=True)


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


def test_the_transpose_reproduces_a_real_weight(generator):
    """V W'd is known from H = V W', for vectors of very different size too."""
    how = {"generator": generator, "dtype": torch.float64}
    w = torch.randn(64, 9, 12, **how)
    v = torch.randn(64, 3, 12, **how) * torch.tensor([1.0, 1e-9, 1e6])[:, None]
    d = torch.randn(64, 2, 9, **how)
    h = v @ w.mT
    back = _transposed(v, h, d, torch.randn(64, 2, 12, **how), 1.0)
    assert torch.allclose(
        (back @ v.mT) / v.norm(dim=-1)[:, None], d @ h.mT / v.norm(dim=-1)[:, None]
    )
    assert not torch.allclose(back, d @ w, rtol=0.1)  # the rest of W is fresh


def test_the_root_keeps_small_vectors(generator):
    v = torch.randn(32, 3, 5, generator=generator, dtype=torch.float64)
    v[:, 1] *= 1e-12
    v[:, 2] = 2 * v[:, 0]
    gram = v @ v.mT
    root = _root(gram)
    size = gram.diagonal(dim1=-2, dim2=-1).sqrt()
    again = root @ root.mT / size[..., None] / size[:, None]
    assert torch.allclose(again, gram / size[..., None] / size[:, None], atol=1e-12)
    assert torch.isnan(_root(gram * torch.inf)).all()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (vp.mlp(4, 1, weights="kaiming_uniform"), "dense_1 has weights that are not centred Gauss"),
        (vp.mlp(4, 1, weights=orthogonal()), "weights that are not centred Gaussian"),
        (vp.mlp(4, 1, weights=trunc_normal()), "weights that are not centred Gaussian"),
        (vp.mlp(4, 1, weights=normal(mean=0.1)), "weights that are not centred Gaussian"),
        (vp.mlp(4, 1, bias=uniform()), "dense_1 has a bias that is not centred Gaussian"),
        (vp.mlp(4, 1, bias=constant(0.5)), "dense_1 has a bias that is not centred Gaussian"),
        (vp.mlp(4, 1, bias=normal(mean=1.0)), "dense_1 has a bias that is not centred Gaussian"),
    ],
)
def test_it_refuses_what_it_is_not_exact_for(network, words, seed):
    with pytest.raises(ValueError, match=f"not exact here: .*{words}.*; use 'explicit'"):
        vp.simulate(network, draws=2, seed=seed, engine="conditional")
    assert vp.simulate(network, draws=2, seed=seed).engine == "explicit"


def test_a_bias_of_zeros_is_gaussian_enough(seed):
    assert vp.simulate(vp.mlp(4, 1, bias="zeros"), draws=2, seed=seed).engine == "conditional"
