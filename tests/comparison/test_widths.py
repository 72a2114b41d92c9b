"""Real gaps over widths: at the stated rate, at another one, and with a limit that is no limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import varprop as vp
from varprop.comparison import widths
from varprop.stats import Verdict

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
WIDTHS = (16, 24, 32, 48, 64, 96, 128)
TANH = {"node": "tanh_10", "draws": 5000, "terms": 1, "false_pass": 1e-3}


def tanh(n, variance=1.5):
    weights = vp.init.normal(variance=variance / n)
    return vp.mlp(n, 10, activation="tanh", weights=weights)


@pytest.mark.statistical
def test_the_mean_field_gap_of_tanh_vanishes_as_one_over_n(seed):
    study = vp.width_study(tanh, WIDTHS, **TANH, seed=seed)
    assert study.verdict is CONFIRMED and study.stated == 1
    assert study.rate[1] < 1 < study.rate[2] and study.limit[1] < 0 < study.limit[2]
    wrong = vp.width_study(tanh, WIDTHS, **TANH, seed=seed, rate=2)
    assert wrong.verdict is REFUTED and "the rate is not 2" in wrong.note
    row = next(iter(study.rows()))
    assert row.gap == pytest.approx(row.value / row.predicted - 1)
    assert row.gap == pytest.approx(row.fitted, abs=6 * row.standard_error)
    assert str(study).startswith("CONFIRMED: the gap of tanh_10 second_moment vanishes as n^-1: ")
    axes = study.plot()
    assert axes.get_xscale() == axes.get_yscale() == "log"
    with pytest.raises(ValueError, match="no 'mean' in this study; it has second_moment"):
        study.plot("mean")


@pytest.mark.statistical
def test_a_wrong_theory_leaves_a_limit(seed, monkeypatch):
    """A planted fault: the theory of networks with 5 % more variance."""
    true = widths.predict

    def wrong(network, inputs, *, order):
        n = network.sizes["input"]
        return replace(true(tanh(n, 1.575), inputs, order=order), network=network)

    monkeypatch.setattr(widths, "predict", wrong)
    study = vp.width_study(tanh, WIDTHS, **TANH, seed=seed)
    assert study.verdict is REFUTED and "the limit is not 0" in study.note


@pytest.mark.slow
@pytest.mark.statistical
def test_the_correlation_of_relu_networks(seed):
    """c -> the arc-cosine map, with a 1/n gap; the mean of each network's own c has another."""

    def pair(network):
        n = network.sizes["input"]
        x = np.zeros((2, n))
        x[0, 0], x[1, 0], x[1, 1] = n**0.5, 0.5 * n**0.5, 0.75**0.5 * n**0.5
        return x

    how = {"node": "relu_4", "seed": seed, "inputs": pair, "terms": 1, "false_pass": 1e-3}
    study = vp.width_study(lambda n: vp.mlp(n, 4), WIDTHS, "correlation", draws=8_000, **how)
    assert study.verdict is CONFIRMED
    first = study.measured[0]
    corrected = vp.predict(vp.mlp(16, 4), pair(vp.mlp(16, 4)), order=1)
    slope = float(corrected.value("relu_4", "correlation")[0, 1]) - first.predicted
    assert first.gap == pytest.approx(slope, abs=6 * first.error + 0.2 * abs(slope))


@pytest.mark.slow
@pytest.mark.statistical
def test_length_fluctuations_vanish_as_five_over_n(seed):
    """(1 + 5/n)^L - 1 is 10/n + 25/n^2 for two layers: the next term counts.

    The skewness is near 10 at width 32, and 100 000 draws are tested up to 26.
    """
    how = {"node": "relu_2", "seed": seed, "draws": 100_000, "error_rate": 1e-3}
    some = (32, 48, 64, 128)
    study = vp.width_study(lambda n: vp.mlp(n, 2), some, "length_fluctuation", **how)
    assert study.verdict is not REFUTED
    low, high = study.fit.amplitude[0] * 0.6, study.fit.amplitude[0] * 1.4
    assert low < 10 < high
    one = vp.width_study(lambda n: vp.mlp(n, 2), some, "length_fluctuation", terms=1, **how)
    assert one.fit.misfit > study.fit.misfit


def test_an_exact_prediction_has_no_gap_and_a_heavy_one_no_error(seed):
    how = {"seed": seed, "draws": 300, "error_rate": 0.01}
    exact = vp.width_study(lambda n: vp.mlp(n, 1), (64, 96, 128, 256), node="relu_1", **how)
    assert exact.verdict is UNDECIDED and "no gap is resolved" in exact.note and exact.fit is None
    heavy = vp.width_study(lambda n: vp.mlp(n, 20), (4, 8, 16, 32), node="relu_20", **how)
    assert heavy.verdict is UNDECIDED and "at width 4 one draw carries" in heavy.note


@pytest.mark.parametrize(
    "change, words",
    [
        ({"widths": (16, 32, 64)}, "needs 4 or more different widths, got"),
        ({"quantity": "kurtosis"}, "compares averages over networks of mean, .* got 'kurtosis'"),
        ({"order": 2}, r"order must be 0 \(the limit\) or 1"),
        ({"rate": 0.3}, "a rate lies above its margin .* got rate 0.3"),
        ({"margin": 2}, "margin must lie between 0 and 0.5, got 2"),
        ({"widths": (16, 32, 64, 0)}, "a width must be a whole number of at least 1, got 0"),
    ],
)
def test_what_is_refused(change, words):
    how = {"widths": WIDTHS, "node": "tanh_10", "draws": 10, "seed": 0, **change}
    with pytest.raises(ValueError, match=words):
        vp.width_study(tanh, **how)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"terms": 3}, r"terms must be 1 .* got 3"),
        ({"order": True}, r"order must be 0 .* got True"),
        ({"rate": "x"}, r"got rate 'x' and rate_margin 0\.5"),
        ({"rate_margin": None}, r"got rate 1 and rate_margin None"),
        ({"widths": None}, r"widths must be a sequence of whole numbers, got None"),
        ({"build": None}, r"got NoneType and NoneType; pass functions"),
        ({"inputs": np.ones((2, 16))}, r"got function and ndarray; pass functions"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_drawn(wrong, message, monkeypatch):
    monkeypatch.delattr(widths, "simulate")
    study = {"build": tanh, "widths": WIDTHS, "node": "tanh_10", "draws": 50, "seed": 0}
    with pytest.raises(ValueError, match=message):
        vp.width_study(**{**study, **wrong})


@pytest.mark.parametrize("quantity", ["correlation", "cross_moment", "grad_cross_moment"])
def test_a_pair_needs_two_inputs(quantity):
    with pytest.raises(ValueError, match=rf"{quantity} is of two inputs, got 1; pass inputs="):
        vp.width_study(tanh, WIDTHS, quantity, node="tanh_10", draws=50, seed=0)
