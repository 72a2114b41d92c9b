"""Gains by each criterion, against exact values, torch's table and published constants."""

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

import varprop as vp
from varprop.activations import ACTIVATIONS, X, custom, get
from varprop.theory.meanfield import CRITERIA

SCALE, ALPHA = 1.0507009873554804934, 1.6732632423543772848
selu = custom("selu", SCALE * sp.Max(X, 0) + SCALE * ALPHA * (sp.exp(sp.Min(X, 0)) - 1), (0.0,))


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@pytest.mark.parametrize("q", [1.0, 0.3])
def test_each_criterion_is_met(name, q):
    phi = get(name)
    kept = vp.gain(phi, "second_moment", q)
    assert kept.mean_field.variance_map(q) == pytest.approx(q, rel=1e-12)
    spread = phi.second_moment(q) - phi.mean(q) ** 2
    assert vp.gain(phi, "variance", q).value ** 2 * spread == pytest.approx(q, rel=1e-10)
    if not phi.jumps:
        assert vp.gain(phi, "gradient", q).chi_perp == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("name", ["step", "sign", "hardshrink"])
@pytest.mark.parametrize("criterion", ["gradient", "critical"])
def test_a_jump_has_no_gradient_gain(name, criterion):
    message = (
        rf"the criterion '{criterion}' needs E phi'\(z\)\^2, .* jumps at .*; take second_moment"
    )
    with pytest.raises(ValueError, match=message):
        vp.gain(name, criterion)
    field = vp.gain(name).mean_field
    assert field.variance_map(1.0) == pytest.approx(1)
    assert "chi_perp" not in str(field) and "phase" not in set(field.frame()["quantity"])
    for ask in (lambda: field.chi_perp, lambda: field.phase, lambda: field.chi_perp_at(1.0)):
        with pytest.raises(ValueError, match=r"chi_perp needs .*; use fixed_point, chi_parallel"):
            ask()


def test_relu_in_closed_form():
    for criterion in ("second_moment", "gradient", "critical", "torch"):
        assert vp.gain("relu", criterion).value == pytest.approx(2**0.5, rel=1e-14)
    exact = (2 / (1 - 1 / np.pi)) ** 0.5
    assert float(vp.gain("relu", "variance")) == pytest.approx(exact, rel=1e-13)


def test_twelve_digits_of_tanh_by_mpmath():
    with mpmath.workdps(30):
        marks = [-13, -6, -3, -1, 0, 1, 3, 6, 13]
        second = mpmath.quad(lambda u: mpmath.tanh(u) ** 2 * mpmath.npdf(u), marks)
    assert vp.gain("tanh").value == pytest.approx(float(1 / mpmath.sqrt(second)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "parallel", "perp", "stability"),
    [
        ("gelu", 1.144, 1.072, "unstable"),
        ("silu", 1.173, 1.067, "unstable"),
        ("tanh", 0.461, 1.178, "stable"),
        ("relu", 1.0, 1.0, "neutral"),
    ],
)
def test_unit_gain_and_its_stability(name, parallel, perp, stability):
    unit = vp.gain(name)
    assert unit.chi_parallel == pytest.approx(parallel, abs=6e-4)
    assert unit.chi_perp == pytest.approx(perp, abs=6e-4)
    assert unit.mean_field.stability == stability


def test_selu_and_elu():
    assert vp.gain(selu).value == pytest.approx(1, rel=1e-12)
    assert vp.gain(selu).chi_parallel == pytest.approx(0.783, abs=6e-4)
    quarter = vp.mean_field(selu, weight_variance=9 / 16)
    assert quarter.fixed_point == pytest.approx(0.02303, abs=6e-6)
    assert quarter.chi_perp == pytest.approx(1.0037, abs=6e-5)
    elu = custom("elu", sp.Max(X, 0) + sp.exp(sp.Min(X, 0)) - 1, (0.0,))
    assert vp.gain(elu).chi_parallel == pytest.approx(0.891, abs=6e-4)
    assert vp.gain(elu).chi_perp == pytest.approx(1.036, abs=6e-4)


@pytest.mark.parametrize(
    ("name", "torch_name"),
    [("identity", "linear"), ("tanh", "tanh"), ("sigmoid", "sigmoid"), ("relu", "relu")],
)
def test_torch_is_torch(name, torch_name):
    assert vp.gain(name, "torch").value == torch.nn.init.calculate_gain(torch_name)


def test_leaky_relu_takes_its_slope_to_torch():
    found = vp.gain(get("leaky_relu", a=0.3), "torch").value
    assert found == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_the_table_has_every_activation_and_says_what_the_gains_do():
    table = vp.gain_table().frame().set_index("activation")
    assert len(table) == len(ACTIVATIONS)
    assert {f"gain_{c}" for c in CRITERIA} <= set(table.columns)
    assert table.loc["tanh", "torch_chi_perp"] == pytest.approx(1.2098, abs=5e-5)
    assert table.loc["tanh", "torch_fixed_point"] == pytest.approx(1.1785, abs=5e-5)
    assert table.loc["gelu", "stability"] == "unstable"
    assert np.isnan(table.loc["gelu", "gain_torch"])
    jumps = [str(get(name)) for name in ACTIVATIONS if get(name).jumps]
    assert {"sign", "step"} <= set(jumps)
    nowhere = ["derivative_second_moment", "gain_gradient", "gain_critical", "chi_perp"]
    assert table.loc[jumps, nowhere].isna().all(axis=None)
    assert (table["note"].str.contains("phi jumps") == table.index.isin(jumps)).all()
    assert table.loc[jumps, ["gain_second_moment", "gain_variance"]].notna().all(axis=None)
    known = table[table["gain_nfnet"].notna()]
    off = (known["gain_nfnet"] / known["gain_variance"] - 1).abs()
    assert len(off) >= 5 and off.max() < 2e-3 and off["tanh"] > 5e-4 and off["relu"] > 5e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vp.gain("relu", "he"), "unknown criterion 'he'; the criteria are second_moment"),
        (lambda: vp.gain("relu", q=0.0), "q = E z.2 must be a finite number above 0, got 0.0"),
        (lambda: vp.gain("gelu", "torch"), "calculate_gain has no gain for gelu; take the crit"),
        (lambda: vp.gain("tanh", bias_variance=0.1), "bias_variance counts for the criterion"),
        (lambda: vp.gain(custom("one", sp.S.One), "variance"), "has no gain by variance at q = 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
