"""assert_matches_theory in no test runner's hands: what passes, what fails, and with what words."""

from __future__ import annotations

import re
import threading
from fractions import Fraction

import numpy as np
import pytest
import sympy

import varprop as vp
from varprop.activations import Activation
from varprop.stats import Verdict, binomial_interval
from varprop.testing import assert_matches_theory, runner, smallest_fault
from varprop.testing.runner import RunningTest

LEVEL = 1e-6
NET = vp.mlp(32, 2)
FORMULA = vp.mlp(sympy.Symbol("n", positive=True), 1)
ROUGH = {"margin": 0.3, "error_rate": 1e-6}  # few draws


@pytest.fixture(autouse=True)
def _no_runner(monkeypatch):
    monkeypatch.setattr(runner, "running", None)


@pytest.fixture
def longer(monkeypatch):
    """Plants a fault in the theory only: E phi^2 is `factor` times too large."""
    plain = Activation.second_moment

    def plant(factor):
        monkeypatch.setattr(Activation, "second_moment", lambda self, q: factor * plain(self, q))

    return plant


def refusal(*args, **settings) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_matches_theory(*args, **settings)
    return str(caught.value)


def test_a_true_theory_passes_and_gives_its_report(seed):
    report = assert_matches_theory(NET, seed=seed)
    assert report.verdict is not Verdict.REFUTED
    assert (report.seed, report.engine, report.error_rate) == (seed, "conditional", 1e-6)


def test_a_fault_of_the_margin_fails_and_says_where_how_much_and_how_to_ask_again(seed, longer):
    longer(1.3)
    text = refusal(NET, seed=seed, **ROUGH)
    assert "REFUTED" in text
    assert re.search(
        r"relu_\d second_moment: effect -\d+\.\d\d% in \[-\d+\.\d\d%, -\d+\.\d\d%\] \(exact test\)",
        text,
    )
    assert re.search(
        rf"\d+ draws \(conditional engine\), seed {seed}, margin 0.3, error rate 1e-06", text
    )
    call = text.splitlines()[-1].removeprefix("fresh and larger: ")
    namespace = {"assert_matches_theory": assert_matches_theory, "net": NET}
    with pytest.raises(AssertionError, match=rf"seed {seed + 1}, ") as again:
        eval(call.replace("<the same subject and inputs>", "net"), namespace)
    draws = [int(re.search(r"(\d+) draws", str(t))[1]) for t in (text, again.value)]  # type: ignore
    assert draws[1] == 4 * draws[0]


@pytest.mark.statistical
@pytest.mark.parametrize("runs", [25, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_fault_of_the_margin_in_one_step_escapes_no_more_often_than_stated(
    direction, runs, seed, longer
):
    """Two runs in a hundred may miss it; the fault is in the theory of one activation."""
    rates = {"margin": 0.4, "error_rate": 0.02, "false_pass": 0.02}
    network = vp.mlp(12, 1)
    longer(1 / (1 + direction * rates["margin"]))
    passed = 0
    for run in range(runs):
        try:
            assert_matches_theory(network, seed=seed + run, engine="conditional", **rates)
            passed += 1
        except AssertionError as failure:
            assert "REFUTED" in str(failure)
    low, _ = binomial_interval(passed, runs, LEVEL)
    assert low <= rates["false_pass"]


def test_an_interval_beyond_the_margin_may_pass_where_the_fault_would_have_been_seen(seed):
    """Sharp and equivalent are two answers: these draws refute 40 %, and do not confirm 10 %."""
    report = assert_matches_theory(NET, seed=seed, margin=0.4, error_rate=1e-3)
    assert smallest_fault(report) <= 0.4
    text = refusal(NET, seed=seed, draws=report.draws, margin=0.1, equivalence=True)
    assert "not every interval lies inside the margin of 0.1 (about" in text
    assert (
        assert_matches_theory(NET, seed=seed, margin=0.2, equivalence=True).verdict == "CONFIRMED"
    )


def test_real_weights_are_drawn_where_asked_and_where_no_engine_is_exact_in_law(seed):
    assert assert_matches_theory(NET, seed=seed, engine="explicit", **ROUGH).engine == "explicit"
    uniform = vp.mlp(32, 2, weights="kaiming_uniform")
    assert assert_matches_theory(uniform, seed=seed, **ROUGH).engine == "explicit"


def test_a_step_that_could_not_be_tested_fails_with_its_reason(seed):
    text = refusal(vp.mlp(8, 2, weights=vp.init.zeros()), seed=seed, **ROUGH)
    assert "some steps could not be tested" in text
    assert "zero in every draw, so nothing was tested" in text


def test_too_few_draws_fail_though_nothing_is_refuted(seed):
    text = refusal(NET, seed=seed, draws=60)
    seen = re.search(r"60 draws see faults of (\d+\.\d+)% and more", text)
    assert seen is not None and float(seen[1]) > 20
    enough = re.search(r"about (\d+) draws see it", text)
    assert enough is not None
    assert_matches_theory(NET, seed=seed, draws=int(enough[1]))
    refusal(NET, seed=seed, draws=int(0.8 * int(enough[1])))


def test_scale_multiplies_planned_and_given_draws(seed):
    one = assert_matches_theory(NET, seed=seed, **ROUGH).draws
    assert assert_matches_theory(NET, seed=seed, scale=2, **ROUGH).draws == 2 * one
    assert assert_matches_theory(NET, seed=seed, draws=one, scale=2, **ROUGH).draws == 2 * one


@pytest.fixture
def samples(monkeypatch):
    """The draws of each sample that an assertion takes."""
    found, plain = [], vp.simulate

    def simulate(network, inputs=None, *, draws, **how):
        found.append(draws)
        return plain(network, inputs, draws=draws, **how)

    monkeypatch.setattr(vp, "simulate", simulate)
    return found


def test_one_sample_does_for_gaussian_weights(seed, samples):
    report = assert_matches_theory(NET, seed=seed, margin=0.1)
    assert samples == [report.draws]


def test_more_is_drawn_where_steps_fluctuate_more_than_planned(seed, samples):
    """Sparse weights have a kurtosis of 15, those that the plan is made for 3."""
    network = vp.mlp(64, 1, weights=vp.init.sparse(sparsity=0.8, std=0.2))
    report = assert_matches_theory(network, seed=seed)
    assert samples[0] < samples[-1] == report.draws
    assert smallest_fault(report) <= 0.05


def test_more_is_drawn_where_a_step_was_too_uneven_to_be_tested(seed, samples):
    """One weight in ten: a skewness that 309 draws do not average out, and no fault."""
    network = vp.mlp(24, 2, weights=vp.init.sparse(sparsity=0.9, std=0.28))
    for run in range(8):  # each is refused at first, in more than four runs of five
        report = assert_matches_theory(
            network, seed=seed + run, margin=0.45, error_rate=1e-7 / 8, false_pass=0.05
        )
        assert not any(np.isnan(row.gap) for row in report.rows())
        if len(samples) > run + 1:
            break
    assert len(samples) > run + 1


def test_biases_that_are_not_gaussian_are_planned_for(seed, samples):
    network = vp.mlp(32, 1, weights="kaiming_normal", bias="torch_default_bias", output=None)
    report = assert_matches_theory(network, seed=seed, margin=0.3)
    assert {row.test for row in report.rows()} >= {"t"} and samples == [report.draws]


def test_pairs_are_asserted_too(seed, rng):
    report = assert_matches_theory(NET, rng.normal(size=(2, 32)), seed=seed, margin=0.4)
    assert "cross_moment" in {row.quantity for row in report.rows()}


def test_the_smallest_fault_is_that_of_the_design(seed):
    """One dense layer of width n: R draws of chi-square_n / n, as a textbook has it."""
    from scipy.stats import chi2

    n, draws, error_rate, false_pass = 40, 1000, 1e-3, 1e-2
    network = vp.Network(
        (
            vp.Node("x", vp.Input(n)),
            vp.Node("z", vp.Dense(n, n, vp.init.normal(variance=1 / n)), ("x",)),
        )
    )
    report = vp.compare(
        vp.predict(network),
        vp.simulate(network, draws=draws, seed=seed),
        error_rate=error_rate,
        false_pass=false_pass,
    )
    free = n * draws
    tests = 2  # values and tangents, with half of the false alarms
    rejects = chi2.isf(error_rate / 2 / (2 * tests), free) / free
    expected = rejects / (chi2.ppf(false_pass, free) / free) - 1
    assert smallest_fault(report) == pytest.approx(expected, rel=0.01)


def test_the_smallest_fault_does_not_depend_on_what_was_measured(seed):
    """It is a design: the interval around a gap is wider, the test is as sharp as at none."""
    wider = vp.mlp(32, 2, weights=vp.init.normal(variance=1.6 * 2 / 32))
    samples = (vp.simulate(network, draws=2000, seed=seed) for network in (NET, wider))
    right, wrong = (smallest_fault(vp.compare(vp.predict(NET), sample)) for sample in samples)
    assert wrong == pytest.approx(right, rel=0.02)


def test_what_is_no_report_of_a_comparison_has_no_smallest_fault(seed):
    one, two = (vp.simulate(NET, draws=300, seed=seed + k) for k in range(2))
    saved = type(one).from_json(vp.compare(vp.predict(NET), one).to_json())
    for wrong in (None, vp.compare_samples(one, two), saved):
        with pytest.raises(ValueError, match=r"needs a report of varprop.compare or varprop.verif"):
            smallest_fault(wrong)


# -- what a test runner says ------------------------------------------------------------------


def running(**given):
    return RunningTest(
        **{"seed": lambda k: k, "share": 1e-4, "scale": 1.0, "rerun": "RUN", **given}
    )


def test_assertions_of_one_test_never_exceed_its_share():
    test, share = running(share=Fraction(1, 1000)), Fraction(1, 1000)
    rates = [test.error_rate(k) for k in range(1, 200)]
    assert all(rate > 0 for rate in rates)
    assert sum(rates) == share * (1 - Fraction(1, 200))


def test_the_running_test_gives_seed_rate_scale_and_settings(monkeypatch, seed):
    found = []
    test = running(seed=lambda k: seed + k, settings=lambda: {"margin": 0.4}, record=found.append)
    monkeypatch.setattr(runner, "running", test)
    first, second = assert_matches_theory(NET), assert_matches_theory(NET, margin=0.45)
    assert (first.margin, first.seed, first.error_rate) == (0.4, seed + 1, 1e-4 / 2)
    assert (second.margin, second.seed, second.error_rate) == (0.45, seed + 2, 1e-4 / 6)
    assert [(a.number, a.report, a.failure) for a in found] == [(1, first, None), (2, second, None)]


def test_threads_of_a_test_belong_to_it(monkeypatch):
    found = []
    monkeypatch.setattr(
        runner, "running", running(record=found.append, settings=lambda: {"margin": 0.4})
    )
    thread = threading.Thread(target=assert_matches_theory, args=(NET,))
    thread.start()
    thread.join()
    assert len(found) == 1


def test_a_given_seed_is_not_changed_by_a_session_so_the_call_is_recommended(monkeypatch):
    monkeypatch.setattr(runner, "running", running())
    assert refusal(NET, draws=60).endswith("fresh and larger: RUN")
    assert "seed=4, draws=60, scale=4.0)" in refusal(NET, draws=60, seed=3)


def test_a_failed_assertion_hides_this_package_and_an_error_does_not(seed):
    from _pytest._code import ExceptionInfo

    def frames(error, *args, **settings):
        with pytest.raises(error) as caught:
            assert_matches_theory(*args, **settings)
        info = ExceptionInfo.from_exception(caught.value)
        return [entry.name for entry in info.traceback.filter(info)]

    assert frames(AssertionError, NET, seed=seed, draws=60) == ["frames"]
    assert frames(ValueError, NET, seed=seed, draws=0)[:2] == ["frames", "assert_matches_theory"]


BAD = {
    "a Network or a module": (("relu",), {}, "that makes modules is needed, got 'relu'"),
    "laws": ((NET,), {"weights": "kaiming_normal"}, "a Network has its own"),
    "margin": ((NET,), {"margin": 0.7}, "margin must lie between 0 and 0.5, got 0.7"),
    "scale": ((NET,), {"scale": 0.5}, "scale must be at least 1, got 0.5"),
    "draws": ((NET,), {"draws": 1.5}, "draws must be"),
    "engine": ((NET,), {"engine": "fast"}, "unknown engine 'fast'"),
    "equivalence": ((NET,), {"equivalence": "no"}, "equivalence must be True or False, got 'no'"),
    "symbols": ((FORMULA,), {}, "assert_matches_theory needs numbers, and this network has SymPy"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    args, settings, message = BAD[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        assert_matches_theory(*args, **settings)


def test_results_are_reproduced_to_the_bit(seed):
    one, two = (assert_matches_theory(NET, seed=seed, **ROUGH) for _ in range(2))
    assert list(one.rows()) == list(two.rows())
    assert np.any(
        [
            a.gap != b.gap
            for a, b in zip(
                one.rows(), assert_matches_theory(NET, seed=seed + 1, **ROUGH).rows(), strict=True
            )
        ]
    )
