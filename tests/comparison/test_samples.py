"""Samples against samples: equal laws pass, other laws are refuted, and it says how."""

from __future__ import annotations

import re
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


NARROW = vp.mlp(3, 2)


def lengths(sample, change):
    """The sample with other second moments of relu_2: change(second of shape (draws, 1, 1))."""
    record = sample.records["relu_2"]
    second = change(record.second.copy())
    mean = np.where(second[:, 0] > 0, record.mean, 0.0)
    other = replace(record, second=second, mean=mean)
    return replace(sample, records={**sample.records, "relu_2": other})


@pytest.mark.statistical
def test_dead_draws_are_compared_by_their_share_and_the_others_by_their_lengths(seed, rng):
    """A dead layer of width 3 has probability 1/8; some planted faults move that or the rest."""
    a, b = (draw(s, NARROW, draws=4000) for s in (seed, seed + 1))
    report = vp.compare_samples(a, b, margin=0.3, spread_margin=0.4)
    rows = [r for r in report.rows() if (r.node, r.quantity) == ("relu_2", "second_moment")]
    assert report.verdict is not REFUTED and rows[0].verdict is CONFIRMED
    assert [r.test for r in rows] == ["dead", "welch", "spread"]
    share = 1 - (7 / 8) ** 2
    for found in (rows[0].value, rows[0].measured):
        assert abs(found - share) < 5.5 * (share * (1 - share) / 4000) ** 0.5
    assert f"{report.dead} dead" in str(report)
    alive = rng.random(4000) < 0.8
    killed = lengths(b, lambda second: second * alive[:, None, None])
    refuted = [r for r in vp.compare_samples(a, killed).rows() if r.verdict is REFUTED]
    assert {(r.node, r.quantity, r.test) for r in refuted} >= {("relu_2", "second_moment", "dead")}
    assert not {r.test for r in refuted if r.quantity == "second_moment"} & {"welch", "spread"}
    shrunk = lengths(b, lambda second: second / 4)
    refuted = [r for r in vp.compare_samples(a, shrunk).rows() if r.verdict is REFUTED]
    assert {(r.node, r.test) for r in refuted} == {("relu_2", "welch")}


def test_paired_draws_that_die_together_are_alike_and_others_are_counted_alone(seed):
    a = draw(seed, NARROW, draws=2500, engine="explicit")
    report = vp.compare_samples(a, a)
    assert report.verdict is CONFIRMED and {r.test for r in report.rows()} == {"identity"}

    def kill(second):
        second[np.flatnonzero(second[:, 0, 0])[:500]] = 0
        return second

    rows = vp.compare_samples(a, lengths(a, kill)).rows()
    off = next(r for r in rows if r.test == "dead")
    assert off.verdict is REFUTED and off.gap == pytest.approx(500 / 2500)
    assert off.low > 0.16 and off.high < 0.24  # as of 500 in 2500 against none, +- 4 errors


def test_a_sample_that_is_dead_in_every_draw_differs(seed):
    a, b = (draw(s, NARROW, draws=400) for s in (seed, seed + 1))
    report = vp.compare_samples(a, lengths(b, lambda second: 0 * second))
    rows = [r for r in report.rows() if (r.node, r.quantity) == ("relu_2", "second_moment")]
    assert [(r.test, r.verdict) for r in rows] == [("dead", REFUTED)]
    assert rows[0].measured == 1.0


def test_draws_that_are_needed_count_the_dead(seed):
    """Nine of ten draws of a sample died."""
    a, b = (draw(s, draws=1000) for s in (seed, seed + 1))
    tenth = np.arange(1000) % 10 == 0
    few = [lengths(s, lambda second: second * tenth[:, None, None]) for s in (a, b)]
    rows = vp.compare_samples(*few).rows()
    row = next(r for r in rows if r.node == "relu_2" and r.test == "welch")
    living = int(re.search(r"needs (\d+) draws of each, got 100 and 100", row.note)[1])  # type: ignore
    assert row.needed == 10 * living


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
        _Claim(row, x, ratio * y, False, False, 400, (-0.25, 0.25), 0.25, True, 1e-5).tested(
            0.02, 1e-4
        )
        for x, y in rng.normal(size=(1000, 2, 400))
    ]
    refuted = np.array([r.p_value <= 0.02 for r in found])
    assert refuted.mean() < 0.01 + 5 * (0.01 / 1000) ** 0.5  # one of the two sides of 2 %
    x, y = rng.normal(size=(2, 4000))
    off = _Claim(row, x, 2 * y, False, False, 4000, (-0.25, 0.25), 0.25, True, 1e-5)
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
