"""Samples against samples: equal laws pass, other laws are refuted, and it says how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import varprop as vp
from varprop.comparison.report import Judged
from varprop.comparison.samples import _Claim
from varprop.stats import Verdict

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
NET = vp.mlp(64, 2)
MARGINS = {"margin": 0.2, "spread_margin": 0.4, "false_pass": 1e-3}


def draw(seed, network=NET, draws=1500, **how):
    return vp.simulate(network, draws=draws, seed=seed, **how)


@pytest.mark.statistical
def test_the_engines_have_one_law(seed):
    report = vp.compare_samples(
        draw(seed, engine="explicit"), draw(seed + 1, engine="conditional"), **MARGINS
    )
    assert report.verdict is CONFIRMED
    assert report.engine == "explicit against conditional" and report.draws == 1500
    assert {row.test for row in report.rows()} == {"welch", "spread", "identity"}


@pytest.mark.statistical
def test_a_planted_fault_in_one_engine_is_refuted(seed, monkeypatch):
    """The conditional engine with 8 % too much variance in every layer."""
    wrong = vp.mlp(64, 2, weights=vp.init.normal(variance=2.16 / 64))
    plain, off = draw(seed, engine="explicit"), draw(seed + 1, wrong, engine="conditional")
    report = vp.compare_samples(plain, replace(off, network=NET), **MARGINS)
    assert report.verdict is REFUTED and report.worst.quantity.endswith("second_moment")
    assert report.worst.low < 1.08**3 - 1 < report.worst.high


@pytest.mark.statistical
def test_two_networks_are_refuted_only_beyond_the_margin(seed):
    """Other weights, same seed: paired, so that 1 % is exact; laws differ, so it is no fault."""
    close = vp.mlp(64, 2, weights=vp.init.normal(variance=2.02 / 64))
    far = vp.mlp(64, 2, weights=vp.init.normal(variance=2.5 / 64))
    base = draw(seed, engine="explicit")
    report = vp.compare_samples(base, draw(seed, close, engine="explicit"), **MARGINS)
    assert report.verdict is CONFIRMED
    last = next(r for r in report.rows() if r.node == "relu_2" and r.quantity == "second_moment")
    assert last.regime == "approximate" and last.gap == pytest.approx(1.01**2 - 1, abs=1e-4)
    assert last.measured / last.value == pytest.approx(1 + last.gap)
    report = vp.compare_samples(base, draw(seed, far, engine="explicit"), **MARGINS)
    assert report.verdict is REFUTED
    assert vp.compare_samples(base, draw(seed + 1, far), margin=0.05).verdict is REFUTED


def test_a_spread_alone_is_seen(seed):
    """Orthogonal weights: the same mean square, without its fluctuation."""
    still = vp.mlp(64, 2, weights=vp.init.orthogonal(gain=2**0.5))
    report = vp.compare_samples(draw(seed), draw(seed + 1, still), **MARGINS)
    refuted = [r for r in report.rows() if r.verdict is REFUTED]
    assert report.verdict is REFUTED and all(r.test == "spread" for r in refuted)


def test_a_sample_is_like_itself_and_like_its_float64(seed):
    a = draw(seed, draws=200, engine="explicit")
    report = vp.compare_samples(a, a)
    assert report.verdict is CONFIRMED and {r.test for r in report.rows()} == {"identity"}
    cut = draw(seed, draws=150, engine="explicit")  # the first of the same networks
    assert vp.compare_samples(a, cut).verdict is CONFIRMED


def test_dtypes_are_judged_by_the_margin(seed):
    a, b = (draw(seed, draws=600, engine="explicit", dtype=d) for d in ("float32", "bfloat16"))
    report = vp.compare_samples(a, b)
    assert report.verdict is not REFUTED and {r.regime for r in report.rows()} == {"approximate"}
    forward = [r for r in report.rows() if r.quantity == "second_moment"]
    assert {r.verdict for r in forward} == {CONFIRMED}


def test_pairs_are_compared_by_correlation(seed, rng):
    x = rng.normal(size=(2, 64))
    a, b = draw(seed, inputs=x), draw(seed + 1, vp.mlp(64, 2, activation="tanh"), inputs=x)
    with pytest.raises(ValueError, match=r"different networks: node relu_1 .* against tanh"):
        vp.compare_samples(a, b)
    b = draw(seed + 1, inputs=x)
    rows = [r for r in vp.compare_samples(a, b).rows() if r.quantity == "correlation"]
    assert len(rows) == len(NET.nodes) and all((r.point, r.other) == (0, 1) for r in rows)
    second = b.records["relu_2"].second.copy()
    second[:, 0, 1] *= 0.8
    second[:, 1, 0] *= 0.8
    off = replace(b, records={**b.records, "relu_2": replace(b.records["relu_2"], second=second)})
    found = [r for r in vp.compare_samples(a, off).rows() if r.verdict is REFUTED]
    assert [(r.node, r.quantity) for r in found] == [("relu_2", "correlation")]


def test_dead_draws_have_no_logarithm(seed):
    narrow = vp.mlp(3, 3)
    report = vp.compare_samples(draw(seed, narrow), draw(seed + 1, narrow))
    row = next(r for r in report.rows() if r.node == "relu_3" and r.quantity == "second_moment")
    assert row.verdict is UNDECIDED and report.dead > 0
    assert "draws of the first sample" in row.note and "compare lower nodes" in row.note
    assert f"{report.dead} dead" in str(report)


def test_what_is_zero_in_every_draw_is_alike_and_not_dead(seed):
    """Branches that start at zero, and an input of zeros: two samples agree in them."""
    still = vp.residual(16, 2, branch_weights="zeros")
    a, b = (draw(s, still, draws=400, engine="explicit") for s in (seed, seed + 1))
    report = vp.compare_samples(a, b)
    row = next(r for r in report.rows() if r.node == "dense_2" and r.quantity == "second_moment")
    assert row.verdict is CONFIRMED and row.test == "identity" and report.dead == 0
    inputs = np.stack([np.ones(64), np.zeros(64)])
    a, b = (draw(s, draws=400, inputs=inputs) for s in (seed, seed + 1))
    assert vp.compare_samples(a, b).dead == 0
    living = vp.mlp(16, 1, bias=vp.init.normal(std=0.1))
    network = vp.mlp(16, 1, bias="zeros")
    a, b = (
        draw(s, n, draws=400, inputs=np.zeros((1, 16)), engine="explicit")
        for s, n in ((seed, network), (seed + 1, living))
    )
    report = vp.compare_samples(a, b)
    assert report.verdict is not CONFIRMED and report.dead == 400


def test_few_draws_are_undecided_and_say_how_many(seed):
    report = vp.compare_samples(draw(seed, draws=30), draw(seed + 1, draws=30))
    assert report.verdict is UNDECIDED and any("needs" in r.note for r in report.rows())
    report = vp.compare_samples(draw(seed, draws=300), draw(seed + 1, draws=300))
    assert report.verdict is UNDECIDED and any((r.needed or 0) > 300 for r in report.rows())


@pytest.mark.statistical
def test_a_spread_off_by_the_margin_is_refuted_no_more_often_than_stated(rng):
    """Where laws differ, the null of a spread is the margin: 2 tanh(r/2) for the ratio exp(r)."""
    ratio, row = (1 + 0.25 / 2) / (1 - 0.25 / 2), Judged("", "", 0, None, "spread", UNDECIDED)
    found = [
        _Claim(row, x, ratio * y, False, False, (-0.25, 0.25), 0.25, True, 1e-5).tested(0.02, 1e-4)
        for x, y in rng.normal(size=(1000, 2, 400))
    ]
    refuted = np.array([r.p_value <= 0.02 for r in found])
    assert refuted.mean() < 0.01 + 5 * (0.01 / 1000) ** 0.5  # one of the two sides of 2 %
    x, y = rng.normal(size=(2, 4000))
    off = _Claim(row, x, 2 * y, False, False, (-0.25, 0.25), 0.25, True, 1e-5)
    assert off.tested(1e-6, 1e-4).p_value < 1e-6


def test_one_draw_of_each_is_no_identity(seed):
    """What does not fluctuate in one draw may well do so."""
    one, two = draw(seed, draws=2), draw(seed + 1, draws=2)
    for sample in (one, two):
        for name, record in sample.records.items():
            first = {f: v[:1] for f, v in vars(record).items() if v is not None}
            sample.records[name] = replace(record, **first)
    one, two = replace(one, draws=1), replace(two, draws=1)
    for other in (two, replace(two, seed=one.seed)):  # unpaired, paired
        report = vp.compare_samples(one, other)
        assert report.verdict is UNDECIDED and report.needed > 100
    assert vp.compare_samples(one, one).verdict is CONFIRMED


def test_what_is_refused(seed, rng):
    a = draw(seed, draws=20)
    with pytest.raises(ValueError, match=r"two results of simulate; got Sample and Prediction"):
        vp.compare_samples(a, vp.predict(NET))
    with pytest.raises(ValueError, match=r"of different inputs; give the same `inputs`"):
        vp.compare_samples(a, draw(seed, inputs=rng.normal(size=(1, 64)), draws=20))
    with pytest.raises(ValueError, match=r"neither paired nor independent; use two seeds"):
        vp.compare_samples(a, draw(seed, engine="explicit", draws=20))
    with pytest.raises(ValueError, match=r"spread_margin must lie between 0 and 0\.5, got 2"):
        vp.compare_samples(a, a, spread_margin=2)
    record = a.records["relu_1"]
    bad = {**a.records, "relu_1": replace(record, mean=np.full_like(record.mean, np.nan))}
    with pytest.raises(ValueError, match="mean of relu_1 is nan in draw 0"):
        vp.compare_samples(a, replace(a, records=bad))
