"""True networks are refuted, and wrong ones certified, at no more than the rates that are stated.

The cells are those of the calibration study; rates are judged here at an error rate of LEVEL each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

import varprop as vp
from benchmarks.calibration import design
from benchmarks.calibration.cells import Certification, Size
from benchmarks.calibration.power import Power
from benchmarks.calibration.sequential import Sequential
from benchmarks.calibration.setting import Setting
from benchmarks.calibration.slices import cut, judged, residuals
from varprop.comparison import decide
from varprop.comparison.decide import judge_steps
from varprop.comparison.steps import Step, steps
from varprop.montecarlo.record import Record
from varprop.stats import Verdict, binomial_interval, contrast_test

LEVEL = 1e-6  # of each statement below
LONE = Setting(16, 0, backward=False)  # one dense layer, one row
LINEAR = Setting(16, 2, "identity")


def intervals(cell, seed):
    """Nominal rates, and the intervals of what was measured."""
    for row in cell.measure(seed):
        yield row["nominal"], binomial_interval(row["count"], row["trials"], LEVEL)


def kept(cell, seed) -> bool:
    return all(low <= nominal for nominal, (low, _) in intervals(cell, seed))


def piece_of(sample, draws: slice):
    """The sample of these draws alone."""
    records = {
        name: Record(*(None if v is None else v[draws] for v in vars(record).values()))
        for name, record in sample.records.items()
    }
    duality = None if sample.duality is None else sample.duality[draws]
    count = draws.stop - draws.start
    return replace(sample, records=records, draws=count, duality=duality)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "setting",
    [
        Setting(16, 2),
        Setting(6, 3, "tanh", inputs=2),
        Setting(16, 2, weights="uniform", engine="explicit"),
        Setting(16, 2, weights="orthogonal", engine="explicit"),
        Setting(16, 1, "gelu", backward=False, engine="explicit"),
    ],
    ids=str,
)
@pytest.mark.parametrize("rates", [(0.1, 0.05, 1e-2), (1e-6, 0.3, 1e-4)], ids=str)
def test_slices_are_judged_as_compare_judges_them(setting, rates, seed):
    error_rate, margin, false_pass = rates
    theory = setting.predict()
    sample = setting.simulate(setting.network(1.1, "one"), 200, seed)
    for k, piece in enumerate(cut(residuals(theory, sample), 100)):
        alone = piece_of(sample, slice(100 * k, 100 * (k + 1)))
        report = vp.compare(
            theory, alone, margin=margin, error_rate=error_rate, false_pass=false_pass
        )
        rows = judged(piece, error_rate, margin, false_pass)
        assert len(rows) == len(report.judged)
        for ours, theirs in zip(rows, report.judged, strict=True):
            assert (ours.node, ours.quantity, ours.test) == (
                theirs.node,
                theirs.quantity,
                theirs.test,
            )
            assert ours.verdict is theirs.verdict and ours.needed == theirs.needed
            for field in ("p_value", "gap", "low", "high"):
                np.testing.assert_allclose(
                    getattr(ours, field), getattr(theirs, field), rtol=1e-9, atol=1e-12
                )


@pytest.mark.statistical
@pytest.mark.parametrize(
    "cell",
    [
        Size(Setting(16, 4), 50, 150),
        Size(LINEAR, 20, 600, design.SMALL),
        *(
            Certification(LONE, design.networks(LONE, 0.2), 1000, "readout", sign, 0.2)
            for sign in (1, -1)
        ),
    ],
    ids=lambda cell: f"{cell.kind}, {cell.setting}",
)
def test_nominal_rates_are_kept(cell, seed):
    assert kept(cell, seed)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    "cell",
    [
        Size(Setting(16, 6), 40, 2000),
        Size(Setting(16, 5, "tanh", inputs=2), 100, 200),
        Size(Setting(16, 5, weights="uniform", engine="explicit"), 400, 300),
        Size(Setting(16, 3, "gelu"), 100, 300),
    ],
    ids=lambda cell: str(cell.setting),
)
def test_nominal_rates_are_kept_at_length_and_not_grossly_missed(cell, seed):
    (nominal, (_, high)), *_ = found = list(intervals(cell, seed))
    assert nominal == 0.05 and all(low <= nominal for nominal, (low, _) in found)
    assert high >= 0.01, "a true rate far below nominal wastes power"


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    "cell",
    [cell for cell in design.quick() if cell.kind != "naive"],
    ids=lambda cell: f"{cell.kind}, {cell.setting}",
)
def test_the_quick_study_finds_nothing_broken(cell, seed):
    """Power: the measured one may only be higher than the one designed."""
    for row in cell.measure(seed):
        low, high = binomial_interval(row["count"], row["trials"], LEVEL)
        if isinstance(cell, Power):
            assert row["nominal"] is None or high >= row["nominal"]
        else:
            assert low <= row["nominal"]


# -- planted faults: the study must flag them -------------------------------------------------


def broken(cell, seed) -> bool:
    return any(not row["kept"] for row in cell.measure(seed))


@pytest.mark.statistical
def test_a_test_at_five_times_its_level_is_flagged(seed, monkeypatch):
    """About 20 % for 5 %: in 250 samples, the lower end is eight standard errors of 5 % above."""
    fault = judge_steps
    monkeypatch.setattr(
        "benchmarks.calibration.slices.judge_steps",
        lambda tested, *rates: [r._replace(p_value=r.p_value / 5) for r in fault(tested, *rates)],
    )
    assert broken(Size(LINEAR, 20, 250, (0.05,)), seed)


@pytest.mark.statistical
def test_p_values_that_are_not_adjusted_are_flagged(seed, monkeypatch):
    """24 rows at 2.5 % each: refuted in about a third of the samples."""
    holm = decide.holm
    monkeypatch.setattr(
        decide, "holm", lambda p, rate: holm(p, rate)._replace(adjusted=np.asarray(p))
    )
    assert broken(Size(Setting(16, 4), 50, 100, (0.05,)), seed)


@pytest.mark.statistical
def test_neurons_counted_as_draws_are_flagged(seed, monkeypatch):
    """The variance of a step given the layer below, taken for that of the whole depth."""
    from benchmarks.calibration import slices

    def pooled(theory, sample):
        expected = {n.name: theory.value(n.name, "second_moment")[0] for n in theory.network}
        return [
            replace(
                step,
                residual=sample.values(step.node, "second_moment")[:, 0] / expected[step.node] - 1,
            )
            for step in steps(theory.network, sample)
            if step.quantity == "second_moment"
        ]

    monkeypatch.setattr(slices, "residuals", pooled)
    assert broken(Size(Setting(16, 6), 50, 80, (0.05,)), seed)


@pytest.mark.statistical
def test_an_interval_that_forgets_how_a_fault_scales_the_noise_is_flagged(seed, monkeypatch):
    """An upper end of estimate + q, not (1 + estimate)/(1 - q) - 1: 13 % for 5 %."""
    monkeypatch.setattr(decide, "RATIOS", ())
    cell = Certification(LONE, design.networks(LONE, 0.45), 1500, "readout", 1, 0.45, (0.05,))
    assert broken(cell, seed)


@pytest.mark.statistical
def test_a_power_below_its_design_is_flagged(seed, monkeypatch):
    """Half the draws that the design asks for."""
    pieces = Power._pieces
    monkeypatch.setattr(
        Power, "_pieces", lambda self, draws, *rest: pieces(self, max(2, draws // 2), *rest)
    )
    assert broken(Power(Setting(64, 1), 0.2, "all", 60, parts=(1.5,)), seed)


# -- what the verdicts rest on ----------------------------------------------------------------


@pytest.mark.parametrize("terms", [1, 3])
def test_the_interval_of_a_ratio_is_that_of_a_chi_square(terms):
    """Of measured/expected = (1 + gap) chi2_k / k: the gaps that leave it between its tails."""
    draws, width, mean = 40, 8, 0.07
    full = np.ones(draws)
    degrees = draws * width * terms
    step = Step(
        "dense_1", "second_moment", 0, None, "dense", terms * mean * full, True,
        terms * 2 / width * full, terms * 8 / width**2 * full, full > 0, terms=terms,
    )  # fmt: skip
    (row,) = judge_steps([step], 0.05, 1e-3, 0.01, 1e-6)
    low = (1 + mean) * degrees / chi2.isf(0.01, degrees) - 1
    high = (1 + mean) * degrees / chi2.ppf(0.01, degrees) - 1
    np.testing.assert_allclose([row.gap, row.low, row.high], [mean, low, high], rtol=1e-7)


def test_a_ratio_of_too_few_networks_has_no_upper_bound():
    """At that noise the theory may be off by any factor; more networks would still decide."""
    one = np.ones(1)
    step = Step(
        "relu_1", "second_moment", 0, None, "activation", 0 * one, True, 5 / 3 * one, 5 * one,
        one > 0,
    )  # fmt: skip
    (row,) = judge_steps([step], 0.05, 1e-6, 1e-4, 1e-6)
    assert row.verdict is Verdict.UNDECIDED and row.high == np.inf > row.needed > 1


@pytest.mark.statistical
@pytest.mark.parametrize(
    "setting",
    [Setting(16, 2), Setting(16, 2, weights="uniform", engine="explicit"), Setting(8, 1, "tanh")],
    ids=str,
)
def test_no_row_changes_with_the_chunk_size(setting, seed):
    network, theory = setting.network(1.1, "one"), setting.predict()
    how = {"draws": 300, "seed": seed, "engine": setting.engine}
    rows = [
        vp.compare(theory, vp.simulate(network, setting.points(), chunk=chunk, **how)).judged
        for chunk in (None, 1, 77)
    ]
    assert str(rows[0]) == str(rows[1]) == str(rows[2])


@pytest.mark.slow
@pytest.mark.statistical
def test_no_row_changes_with_the_number_of_workers(seed):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for engine in ("explicit", "conditional"):
            setting = Setting(16, 3, engine=engine)
            network, theory = setting.network(1.1, "one"), setting.predict()
            how = {"draws": 400, "seed": seed, "engine": engine, "chunk": 64}
            rows = [
                vp.compare(theory, vp.simulate(network, executor=executor, **how)).judged
                for executor in (None, pool)
            ]
            assert str(rows[0]) == str(rows[1])


@pytest.mark.statistical
def test_verify_judges_the_theory_that_is_planted(seed):
    cell = Sequential(Setting(16, 1), 0.5, 3, margin=0.3)
    (row,) = cell.measure(seed)
    assert row["what"] == "confirmed" and row["count"] == 0 and row["decided"] == 1
    assert vp.verify(Setting(16, 1).network(), seed=seed, engine="conditional").verdict


@pytest.mark.statistical
def test_every_cumulant_is_that_of_the_residuals(seed):
    """Standardised squares of residuals have mean one; dead draws are left out."""
    network = vp.mlp(3, 5)
    sample = vp.simulate(network, draws=20_000, seed=seed, engine="conditional")
    dead = sample.values("relu_5", "second_moment")[:, 0] == 0
    low, high = binomial_interval(int(dead.sum()), dead.size, LEVEL)
    assert low <= 1 - (1 - 2.0**-3) ** 5 <= high  # Lu et al. (2020)
    for step in steps(network, sample):
        assert step.variance is not None and step.third is not None and not step.impossible
        test = contrast_test(
            step.residual[step.live], step.variance[step.live], step.third[step.live]
        )
        assert test.p_value > LEVEL, (step.node, step.quantity)
        found = np.mean(step.residual[step.live] ** 2 / step.variance[step.live])
        wide = np.std(step.residual[step.live] ** 2 / step.variance[step.live])
        assert abs(found - 1) < 6 * wide / step.live.sum() ** 0.5, (step.node, step.quantity)
        if step.node not in ("dense_1", "relu_1"):
            assert not step.live.all()


@pytest.mark.statistical
def test_orthogonal_weights_and_rounding_refute_nothing(seed):
    """|Wx| = |x| up to rounding, which has a mean of its own and is no fault."""
    from varprop.initializers import orthogonal

    network = vp.mlp(16, 4, weights=orthogonal(gain=2**0.5))
    sample = vp.simulate(network, draws=400, seed=seed)
    report = vp.compare(vp.predict(network), sample)
    assert report.verdict is not Verdict.REFUTED
    wrong = vp.predict(vp.mlp(16, 4, weights=orthogonal(gain=1.42)))
    assert vp.compare(wrong, sample).verdict is Verdict.REFUTED
