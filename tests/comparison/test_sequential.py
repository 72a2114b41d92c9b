"""verify: batches until decided, at the error rates of one look."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import varprop as vp
from varprop.comparison.decide import judge_steps
from varprop.comparison.design import Design
from varprop.comparison.judge import drifts
from varprop.comparison.rounding import tolerance
from varprop.comparison.steps import steps
from varprop.comparison.verify import judged_theory
from varprop.initializers import normal
from varprop.layers import Dense
from varprop.stats import SharpTest, Verdict, binomial_interval, decide_exact, overall

CONFIRMED, REFUTED, UNDECIDED = Verdict.CONFIRMED, Verdict.REFUTED, Verdict.UNDECIDED
NET = vp.mlp(32, 3)
QUICK = {"margin": 0.15, "engine": "conditional"}


@pytest.fixture
def weights_off(monkeypatch):
    """weights_off(factor): from now on the engine draws weights of that much more variance."""
    fill = Dense.fill

    def plant(factor):
        def wrong(self, parameters, generator):
            fill(self, parameters, generator)
            for p in parameters:
                p.mul_(factor**0.5)

        monkeypatch.setattr(Dense, "fill", wrong)

    return plant


def again(report, network=NET, inputs=None, margin=0.15, **how):
    """What compare says of the draws that the report used, at the levels of its last look."""
    sample = vp.simulate(
        network, inputs, draws=report.draws, seed=report.seed, engine=report.engine, **how
    )
    rates = {"error_rate": report.at.error_rate, "false_pass": report.at.false_pass}
    return vp.compare(vp.predict(network, inputs), sample, margin=margin, **rates)


def assert_same_rows(report, other):
    assert report.verdict is other.verdict and report.at == other.at
    assert repr(report.judged) == repr(other.judged)  # to the last digit, nan included


def test_a_true_theory_is_confirmed_and_the_report_is_that_of_compare(seed):
    report = vp.verify(NET, seed=seed, **QUICK)
    assert report.verdict is CONFIRMED and report.looks > 1 and report.error_rate == 1e-6
    assert report.draws == report.at.draws <= report.budget
    assert report.at.error_rate < 1e-6 and report.at.false_pass < 1e-4
    assert f"{report.draws} networks in {report.looks} looks" in str(report)
    assert_same_rows(report, again(report))
    assert json.loads(report.to_json())["summary"] == str(report)


def test_a_gross_fault_ends_the_run_early(seed, weights_off):
    weights_off(2.0)
    report = vp.verify(NET, seed=seed, margin=0.15)
    assert report.verdict is REFUTED and report.draws < report.budget / 4
    assert_same_rows(report, again(report))


def test_pairs_of_inputs_and_other_dtypes(seed, rng):
    x = rng.standard_normal((2, 32))
    report = vp.verify(NET, x, seed=seed, dtype="float64", margin=0.15, budget=90)
    assert report.verdict is not REFUTED
    assert_same_rows(report, again(report, inputs=x, dtype="float64"))


def test_executor_and_store_change_nothing(seed, tmp_path):
    plain = vp.verify(NET, seed=seed, **QUICK)
    with ThreadPoolExecutor(2) as executor:
        assert_same_rows(plain, vp.verify(NET, seed=seed, executor=executor, **QUICK))
    for _ in range(2):  # drawn, then read
        assert_same_rows(plain, vp.verify(NET, seed=seed, store=tmp_path, **QUICK))


def test_a_number_of_draws_is_one_look_at_the_full_rates(seed):
    report = vp.verify(NET, seed=seed, draws=50, **QUICK)
    assert report.looks == 1 and report.draws == 50 and report.budget is None
    assert report.at == (50, 1e-6, 1e-4) and " looks" not in str(report)
    assert_same_rows(report, again(report))


def test_a_budget_ends_the_run_and_the_report_says_so(seed):
    report = vp.verify(NET, seed=seed, budget=60, **QUICK)
    assert report.verdict is UNDECIDED and report.draws == report.budget == 60
    assert report.needed > 60
    assert "the budget ended; about" in str(report) and str(report).endswith("would decide")


def test_a_row_that_no_draws_decide_does_not_eat_the_budget(seed):
    """Signals whose squares floats do not hold: the run ends when all others are confirmed."""
    network = vp.mlp(32, 8, weights=normal(variance=1e-60))
    report = vp.verify(network, seed=seed, **QUICK)
    rows = [row for row in report.rows() if row.verdict is UNDECIDED]
    assert report.verdict is UNDECIDED and report.draws < report.budget
    assert rows and all("where floats end" in row.note and row.needed is None for row in rows)
    assert any(row.verdict is CONFIRMED for row in report.rows())
    assert "budget" not in str(report) and report.needed is None


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"draws": 10, "budget": 10}, "draws=10 asks for one look and budget=10 for several"),
        ({"budget": 1}, "budget must be a whole number of at least 2, got 1"),
        ({"draws": 2.5}, "draws must be a whole number of at least 2, got 2.5"),
        ({"dtype": "int8"}, "unknown dtype 'int8'"),
    ],
)
def test_wrong_amounts_are_named(how, words):
    with pytest.raises(ValueError, match=words):
        vp.verify(NET, **how)


@pytest.mark.parametrize("margin", [0.05, 0.15])
def test_no_gap_is_left_undecided_at_the_last_look(margin):
    """Over all values that a chi-square step of the design's variance could be measured at."""
    design = Design.of(judged_theory(NET, None))
    looks = design.looks(margin, 1e-6, 1e-4)

    def verdicts(look):
        variance = design.variance * look.draws
        third = 2 * design.variance**2 * look.draws  # kappa_3 = 2 v^2 for a gamma law
        found = set()
        for gap in np.linspace(-3 * margin, 3 * margin, 601):
            test = SharpTest(gap * look.draws, variance, third, look.draws, 0, False)  # type: ignore
            p = min(1.0, design.tests * float(test.p_value))
            low, high = map(float, test.interval(2 * look.false_pass))
            found.add(decide_exact(p, low, high, margin, look.error_rate / 2))
        return found

    assert verdicts(looks[-1]) == {CONFIRMED, REFUTED}
    assert UNDECIDED in verdicts(looks[-3])


def part(step, draws):
    """The step on some of its draws."""
    known = {
        name: None if (values := getattr(step, name)) is None else values[draws]
        for name in ("residual", "variance", "third", "live")
    }
    return replace(step, **known)


def outcome(local, start, looks, margin):
    """How a run that starts at this draw ends: its verdict and its draws."""
    rows = []
    for look in looks:
        seen = [part(step, slice(start, start + look.draws)) for step in local]
        rates = margin, look.error_rate / 2, look.false_pass, tolerance("float32")
        rows = [
            row.verdict for row in (*judge_steps(seen, *rates), *judge_steps(drifts(seen), *rates))
        ]
        if REFUTED in rows or UNDECIDED not in rows:
            break
    return overall(rows), look.draws


@pytest.mark.statistical
def test_runs_refute_a_true_theory_at_most_at_their_rate(seed):
    """400 runs, each on draws of its own; all steps are measured at once, which verify does not."""
    network, margin, rate, runs = vp.mlp(16, 1), 0.25, 0.05, 400
    design = Design.of(judged_theory(network, None), rate)
    looks = design.looks(margin, rate, 1e-4)
    most = looks[-1].draws
    sample = vp.simulate(network, draws=runs * most, seed=seed, engine="conditional")
    local = list(steps(network, sample))
    ends = [outcome(local, k * most, looks, margin) for k in range(runs)]
    refuted = sum(verdict is REFUTED for verdict, _ in ends)
    assert binomial_interval(refuted, runs, 1e-6)[0] <= rate
    assert sum(verdict is CONFIRMED for verdict, _ in ends) == runs - refuted  # the design's word
    assert np.mean([draws for _, draws in ends]) < design.draws(margin, 1e-4)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_true_networks_are_refuted_at_most_at_the_rate_of_the_run(seed, rate):
    """Whole runs on fresh seeds, stopping included."""
    network, runs = vp.mlp(16, 2), 400
    reports = [
        vp.verify(network, seed=seed + k, error_rate=rate, false_pass=0.02, **QUICK)
        for k in range(runs)
    ]
    refuted = sum(report.verdict is REFUTED for report in reports)
    assert binomial_interval(refuted, runs, 1e-6)[0] <= rate
    assert {report.verdict for report in reports} <= {CONFIRMED, REFUTED}
    assert len({report.draws for report in reports}) > 1
