"""Root second moment by layer of deep tanh and ReLU stacks under four initializations.

Claims: each layer takes the measured second moment of the layer below to the predicted one; and,
for tanh, the infinite-width line itself stays within L/3n of E x^2's root over the whole depth.
For ReLU the line is exact at any width, so its steps and their drift say all of it.

Bands are simultaneous over the layers shown (Bonferroni). Near L/n = 1 the law of mean x^2 over
networks is close to log-normal and a t interval on it is wrong; so for ReLU the band is that of the
product of one-step means, which are independent, on a log scale, and for tanh the studentized
interval with its skewness removed, which refuses where the sample cannot bear it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter, PercentFormatter

import varprop as vp
from figures import style
from figures.bands import mean_bands, product_bands
from figures.judging import Placed, equivalence
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    claim_of,
    describe,
    gap_evidence,
    percent,
    provenance,
    streams,
)
from varprop.comparison import compare
from varprop.stats import (
    decide_exact,
    drift,
    holm,
    overall,
    ratio_test,
    studentized_test,
)

PANELS = ("tanh", "relu")
TITLES = {"tanh": "tanh", "relu": "ReLU"}
SERIES = ("N(0, 1)", "1/√n", "Xavier", "Kaiming")
CRITICAL = ("1/√n", "Xavier")  # tanh at weight variance 1/n: the widest spread over networks
LEVEL = 0.05  # of the bands, simultaneously over the layers shown
FALSE_PASS = 1e-4  # of the claims about steps


def parameters(full: bool) -> dict[str, Any]:
    """The published stack, or one of half the depth and a quarter of the width.

    A ReLU step has the standard deviation sqrt(5/n/draws). The quick size allows it 4 of them
    for the interval and 6 for chance: with 300 steps one is missed about once in a million runs.
    """
    if full:
        sizes = {"width": 256, "draws": 1024, "critical_draws": 1024, "margin": 0.05}
        return {**sizes, "depth": 100, "shown": [1, 20, 40, 60, 80, 100]}
    sizes = {"width": 64, "draws": 256, "critical_draws": 256, "margin": 0.2}
    return {**sizes, "depth": 50, "shown": [1, 10, 20, 30, 40, 50]}


def law(series: str) -> vp.Initializer:
    """The law of the weights. In square layers Xavier's is that of 1/sqrt(n)."""
    if series == "N(0, 1)":
        return vp.init.normal(std=1)
    if series == "1/√n":
        return vp.init.variance_scaling(1, "fan_in", "normal")
    return vp.init.get("xavier_normal" if series == "Xavier" else "kaiming_normal")


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw real weights for each curve, judge it, and keep its line, points and bands."""
    width, depth, shown = parameters["width"], parameters["depth"], parameters["shown"]
    lines = np.empty((len(PANELS), len(SERIES), depth + 1))
    bands = np.empty((len(PANELS), len(SERIES), 3, len(shown)))
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, len(PANELS) * len(SERIES)))
    for row, column in np.ndindex(lines.shape[:2]):
        panel, series = PANELS[row], SERIES[column]
        weights = law(series)
        net = vp.mlp(width, depth, activation=panel, weights=weights, output=None)
        critical = panel == "tanh" and series in CRITICAL
        draws = parameters["critical_draws" if critical else "draws"]
        theory = vp.predict(net)
        sample = vp.simulate(net, draws=draws, seed=next(seeds), device=device, engine="explicit")
        names = ["input", *(f"{panel}_{layer}" for layer in range(1, depth + 1))]
        line = np.array([theory.value(name, "second_moment")[0] for name in names])
        found = np.stack([sample.values(name, "second_moment")[:, 0] for name in names], 1)
        if panel == "relu":
            claims.append(_homogeneous_steps(found, line, width, parameters["margin"], series))
            band = product_bands(found, shown, LEVEL)
        else:
            claims.append(_steps(theory, sample, parameters["margin"], series))
            band = mean_bands(found, line, shown, LEVEL)
            claims.append(_whole_depth(found, line, shown, width, series))
        lines[row, column], bands[row, column] = np.sqrt(line), np.sqrt(band)
        about = {"activation": panel, "weights": weights, "width": width, "depth": depth}
        networks[f"{panel}, {series}"] = describe(net, **about, draws=draws)
        samples.append(sample)
    arrays = {"shown": np.array(shown), "lines": lines, "bands": bands}
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _steps(theory: vp.Prediction, sample: vp.Sample, margin: float, series: str) -> Claim:
    """The rows of the comparison that speak of forward moments."""
    report = compare(theory, sample, margin=margin, error_rate=ERROR_RATE, false_pass=FALSE_PASS)
    rows = [r for r in report.rows() if r.quantity != "grad_second_moment"]
    return claim_of(rows, _step_statement("tanh", margin), sample.draws, "tanh", series)


def _homogeneous_steps(
    found: np.ndarray, line: np.ndarray, width: int, margin: float, series: str
) -> Claim:
    """Ratios of successive measured second moments against those of the line, and their drift.

    found (draws, L + 1), line (L + 1,). For ReLU and Gaussian weights the ratio is a mean of
    `width` iid terms whose cumulants are those of phi(Z)^2, at any scale of the signal.
    """
    phi = vp.activation("relu")
    m2, m4 = float(phi.second_moment(1.0)), float(phi.fourth_moment(1.0))
    m6 = float(phi.moment(lambda z, value, slope: value**6, 1.0))
    variance = (m4 / m2**2 - 1) / width
    third = (m6 / m2**3 - 3 * m4 / m2**2 + 2) / width**2
    ratios = found[:, 1:] / found[:, :-1] / (line[1:] / line[:-1])
    test = ratio_test(ratios, 1.0, variance, third)
    adjusted = holm(test.p_value, ERROR_RATE / 2).adjusted
    low, high = (np.asarray(end) for end in test.interval(2 * FALSE_PASS))
    verdicts = [
        decide_exact(float(p), float(a), float(b), margin, ERROR_RATE / 2)
        for p, a, b in zip(adjusted, low, high, strict=True)
    ]
    total = drift(test)
    first, last = (float(end) for end in total.interval(2 * FALSE_PASS))
    verdicts.append(decide_exact(float(total.p_value), first, last, margin, ERROR_RATE / 2))
    gaps = np.asarray(test.estimate)
    far = int(np.argmax(np.abs(gaps)))
    gap = float(gaps[far])
    evidence = gap_evidence(f"relu_{far + 1}", gap, float(low[far]), float(high[far]), len(found))
    statement = _step_statement("ReLU", margin)
    return Claim(statement, str(overall(verdicts)), evidence, "relu", series, gap, ERROR_RATE)


def _step_statement(name: str, margin: float) -> str:
    return (
        f"each {name} layer takes the measured E x² of the layer below to the predicted one, "
        f"within {100 * margin:.0f} % (error rate {ERROR_RATE:g})"
    )


def _whole_depth(
    found: np.ndarray, line: np.ndarray, shown: list[int], width: int, series: str
) -> Claim:
    """Equivalence of the line with the measured averages; a missing band leaves it open."""
    depth, tests = len(line) - 1, len(shown)
    margin = depth / (3 * width)
    placed = [_root_is_one(found[:, k] / line[k], margin, LEVEL / tests, tests) for k in shown]
    statement = (
        "the infinite-width tanh line is within L/3n = "
        f"{100 * margin:.0f} % of the measured √E x² at every layer shown: twice its leading "
        f"1/n term (simultaneous {100 * (1 - LEVEL):.0f} % bands)"
    )
    ends = [end for one in placed if not one.refusal for end in (one.low, one.high)]
    refused = any(one.refusal for one in placed)
    far = max(ends, key=abs, default=0.0)
    few = "too few networks for the bands of their skewness"
    evidence = few if refused else f"Widest band reaches {percent(far)}"
    verdict = overall(one.verdict for one in placed)
    return Claim(statement, str(verdict), evidence, "tanh", series, far, ERROR_RATE)


def _root_is_one(relative: np.ndarray, margin: float, level: float, tests: int) -> Placed:
    """The root of E relative is 1 within the margin."""

    def gap(rate: float) -> tuple[float, float]:
        ends = studentized_test(relative, 0.0, rate).interval(rate)
        low, high = np.sqrt(np.maximum(ends, 0.0)) - 1
        return low, high

    return equivalence(gap, margin, level, tests)


def draw(results: Results) -> Figure:
    """Lines and points above, measured over predicted below."""
    about = results.about["parameters"]
    width, depth = about["width"], about["depth"]
    note = (
        f"√E x² (root second moment, not centred) of the activations x = φ(Wx), {depth} layers of "
        f"width {width}, inputs with x·x/n = 1. Lines: theory; points: networks with real weights; "
        "bars: 95 % bands, simultaneous over the points of a curve. 1/√n and Xavier are one law in "
        "square layers, drawn separately. Grey: ±\N{NO-BREAK SPACE}L/3n."
    )
    figure = style.page(results, 3.5, note=note)
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(2, 1))
    for column, panel in enumerate(PANELS):
        top, bottom = axes[:, column]
        for place, look in enumerate(style.SERIES):
            _curve(top, bottom, results, (column, place), look)
        _log_axis(top, results.arrays["lines"][column])
        bottom.axhline(0, color=style.INK, linewidth=0.6, zorder=0)
        bottom.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        bottom.set_xlabel("layer")
        style.letter(top, TITLES[panel])
        style.doubt(top, results.doubted(panel))
    margin = depth / (3 * width)
    axes[1, 0].axhspan(-margin, margin, color=style.PALE, alpha=0.35, linewidth=0, zorder=-1)
    axes[1, 0].set_ylim(-1.45 * margin, 1.45 * margin)
    axes[0, 0].set_ylabel("√E x²")
    axes[1, 0].set_ylabel("measured /\npredicted − 1")
    axes[0, 1].legend(loc="upper left")
    return figure


def _log_axis(axes: Axes, lines: np.ndarray) -> None:
    """Ticks every 20 decades, or 1-2-5 ticks where the lines span few."""
    axes.set_yscale("log")
    decades = np.log10([lines.min(), lines.max()])
    if np.ptp(decades) > 40:
        first, last = np.round(decades / 20).astype(int)
        axes.set_yticks(10.0 ** (20.0 * np.arange(first, last + 1)))
        axes.minorticks_off()
    elif np.ptp(decades) < 3:
        axes.yaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _curve(
    top: Axes, bottom: Axes, results: Results, at: tuple[int, int], look: Mapping[str, Any]
) -> None:
    """One initialization: its line and points, and below them the measured over the predicted."""
    panel, series = PANELS[at[0]], SERIES[at[1]]
    line, shown = results.arrays["lines"][at], results.arrays["shown"]
    value, low, high = results.arrays["bands"][at]
    doubted = results.doubted(panel, series)
    marks = {
        "color": style.ALARM if doubted else look["color"],
        "marker": look["marker"],
        "markerfacecolor": "white",
        "markeredgewidth": 0.8,
    }
    label = f"{series} ({doubted})" if doubted else series
    top.plot(line, linestyle=look["linestyle"], color=marks["color"])
    top.plot([], linestyle=look["linestyle"], label=label, **marks)  # for the legend alone
    top.plot(shown, value, linestyle="none", **marks)
    aside = shown + (at[1] - 1.5) * len(line) / 60
    expected = line[shown]
    reach = np.nan_to_num(np.array([value - low, high - value]) / expected)
    bars = {"elinewidth": 0.8, "capsize": 1.5, "capthick": 0.6, "linestyle": "none"}
    bottom.errorbar(aside, value / expected - 1, reach, **marks, **bars)
