"""What a truncated normal makes of the standard deviation asked for, and what its cut costs.

Left: standard deviation of the weights over the one asked for, under bounds of +-2: torch's
trunc_normal_ as it is, the same given std/0.8796 (the correction of JAX and Keras, whose bounds
count standard deviations: a pitfall), and JAX's and Keras' own bounds. Right: standard deviation
and kurtosis of N(0, 1) truncated, and clipped, at c. Claims: tensors have the moments predicted,
and none of torch's has outliers at its bounds.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullFormatter

import varprop as vp
from figures import style
from figures.results import ERROR_RATE, Claim, Results, Tensors, percent, provenance, streams
from varprop.laws import clipped_moment
from varprop.montecarlo.devices import find_device
from varprop.stats import SharpTest, decide_exact, holm, overall, ratio_test

BOUND = 2.0  # torch's default a = -2, b = 2: values of the weights
ASKED = ("torch as is", "std/0.8796 given to torch", "JAX, Keras (relative bounds)")
CUTS = ("truncated", "clipped")
GRID = {"asked": np.geomspace(0.015, 6.0, 90), "cuts": np.linspace(0.1, 4.0, 79)}
FALSE_PASS = 1e-4
OUTLIERS = 1e-9  # the rate of each report
LEVEL = 0.05  # of the bars, simultaneously over the points of a series


class Cut(NamedTuple):
    """A normal law of mean 0 cut at +-bound; `moment(k)` is E w^k of what is left of it."""

    std: float
    bound: float
    moment: Callable[[int], float]
    clipped: bool = False

    @property
    def kurtosis(self) -> float:
        return self.moment(4) / self.moment(2) ** 2


def parameters(full: bool) -> dict[str, Any]:
    """Tensors of 2^15 entries in seconds, or of 2^20."""
    asked = [0.02, 0.06, 0.2, 0.5, 1.0, 2.0, 4.0]
    size = {"entries": 2**20, "margin": 0.03} if full else {"entries": 2**15, "margin": 0.15}
    return {**size, "asked": asked, "cuts": [0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]}


def truncated(std: float, bound: float) -> Cut:
    return Cut(std, bound, lambda k: float(vp.truncated_normal(0.0, std, -bound, bound).moment(k)))


def clipped(std: float, bound: float) -> Cut:
    law = vp.truncated_normal(0.0, std, -bound, bound)
    return Cut(std, bound, lambda k: clipped_moment(law, k), clipped=True)


def convention(series: str, wanted: float) -> Cut:
    """What is passed to trunc_normal_ under the convention of that name to get `wanted`."""
    if series == ASKED[0]:
        return truncated(wanted, BOUND)
    std = float(vp.truncated_std(wanted, -BOUND, BOUND, bounds="relative"))
    return truncated(std, BOUND if series == ASKED[1] else BOUND * std)


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw one real tensor for each point, judge its moments, keep lines, points and bars."""
    where, margin = find_device(device), parameters["margin"]
    wanted, cuts = parameters["asked"], parameters["cuts"]
    laws = {s: [convention(s, w) for w in wanted] for s in ASKED}
    laws |= {
        s: [law(1.0, c) for c in cuts] for s, law in zip(CUTS, (truncated, clipped), strict=True)
    }
    seeds = iter(streams(seed, sum(map(len, laws.values()))))
    arrays = {"asked": np.array(wanted), "cuts": np.array(cuts)}
    claims, networks = [], {}
    for series, row in laws.items():
        panel = "asked" if series in ASKED else "cut"
        tensors = [_draw(law, parameters["entries"], next(seeds), where) for law in row]
        tests = {k: _moment_test(tensors, row, k) for k in ((2,) if panel == "asked" else (2, 4))}
        claims.append(
            _moments_claim(tests, margin / 2 if panel == "asked" else margin, panel, series)
        )
        if panel == "asked":
            claims.append(_outliers_claim(tensors, row, series))
        for k, test in tests.items():
            arrays[f"{series} {k}"] = _bars(test, row, k)
        networks[series] = {
            "weights": f"{'clipped' if row[0].clipped else 'truncated'} normal",
            "draws": len(row),
            "parameters": parameters["entries"],
        }
    about = provenance(parameters, seed, [Tensors(where.type)], networks)
    return Results(arrays, tuple(claims), about)


def _draw(law: Cut, entries: int, seed: int, device: torch.device) -> torch.Tensor:
    generator = torch.Generator(device).manual_seed(seed)
    w = torch.empty(entries, device=device)
    if law.clipped:
        return w.normal_(0, law.std, generator=generator).clamp_(-law.bound, law.bound)
    return torch.nn.init.trunc_normal_(w, 0, law.std, -law.bound, law.bound, generator)


def _moment_test(tensors: list[torch.Tensor], laws: list[Cut], k: int) -> SharpTest:
    """Mean w^k of each tensor against E w^k, by the exact variance and third cumulant of w^k."""
    w = torch.stack(tensors, 1).double().cpu().numpy()
    m, m2, m3 = (np.array([law.moment(j * k) for law in laws]) for j in (1, 2, 3))
    return ratio_test(w**k, m, m2 - m**2, m3 - 3 * m2 * m + 2 * m**3)


def _moments_claim(tests: Mapping[int, SharpTest], margin: float, panel: str, series: str) -> Claim:
    """All points of a series; the margin is that of w^k's mean."""
    p = np.concatenate([test.p_value for test in tests.values()])
    ends = [test.interval(2 * FALSE_PASS) for test in tests.values()]
    low, high = (np.concatenate([end[side] for end in ends]) for side in (0, 1))
    rate = ERROR_RATE / (len(ASKED) + len(CUTS))
    verdicts = [
        decide_exact(float(a), float(b), float(c), margin, rate)
        for a, b, c in zip(holm(p, rate).adjusted, low, high, strict=True)
    ]
    gaps = np.concatenate([test.estimate for test in tests.values()])
    far = int(np.argmax(np.abs(gaps)))
    what = "variance" if panel == "asked" else "second and fourth moments"
    statement = (
        f"tensors of {'torch.nn.init.trunc_normal_' if panel == 'asked' else 'cut normals'} have "
        f"the predicted {what} within {100 * margin:g} % (error rate {ERROR_RATE:g})"
    )
    evidence = (
        f"Widest gap {percent(float(gaps[far]))} in [{percent(float(low[far]))}, "
        f"{percent(float(high[far]))}], {len(gaps)} points of “{series}”"
    )
    gap = float(gaps[far])
    return Claim(statement, str(overall(verdicts)), evidence, panel, series, gap, rate)


def _outliers_claim(tensors: list[torch.Tensor], laws: list[Cut], series: str) -> Claim:
    """None of the tensors has more entries at its bounds than rounding brings there."""
    reports = [
        vp.truncation_report(law.std, -law.bound, law.bound, weights=w)
        for law, w in zip(laws, tensors, strict=True)
    ]
    named = [r for r in reports if {"outliers", "clipped"} & set(r.names)]
    largest = max(r.measured["largest"] / law.std for r, law in zip(reports, laws, strict=True))
    verdict = vp.Verdict.REFUTED if named else vp.Verdict.CONFIRMED
    return Claim(
        f"none of these tensors has outliers at its bounds (error rate {OUTLIERS:g} each)",
        str(verdict),
        f"{len(named)} of {len(laws)} have; the largest entry of “{series}” is {largest:.1f} std",
        "asked",
        series,
        float(len(named)),
        OUTLIERS * len(laws),
    )


def _bars(test: SharpTest, laws: list[Cut], k: int) -> np.ndarray:
    """(3, points) measured, low, high: std for k = 2, kurtosis about the known variance for 4."""
    ratio = 1 + np.array([test.estimate, *test.interval(LEVEL / len(laws))])
    if k == 2:
        return np.sqrt(ratio * [law.moment(2) for law in laws])
    return ratio * [law.kurtosis for law in laws]


def draw(results: Results) -> Figure:
    """Ratios of standard deviations on the left, the two laws on the right."""
    entries = results.about["parameters"]["entries"]
    note = (
        "Left: bounds ±2 are values for torch, standard deviations for JAX and Keras; dotted: the "
        "uniform law on [−2, 2], of standard deviation 1.155, the most that such weights can "
        "have. Right: N(0, 1) cut at ±c; dividing by its standard deviation corrects it. Lines: "
        f"theory; points: tensors of {entries} entries; bars: 95 % bands, "
        "simultaneous over the points of a series."
    )
    figure = style.page(results, 2.7, note=note)
    left, right = figure.subplots(1, 2)
    _ratios(left, results)
    _laws(right, results)
    return figure


def _ratios(axes: Axes, results: Results) -> None:
    wanted = results.arrays["asked"]
    for series, look in zip(ASKED, style.SERIES[1:], strict=True):
        theory = [convention(series, w).moment(2) ** 0.5 / w for w in GRID["asked"]]
        color = style.ALARM if results.doubted("asked", series) else look["color"]
        axes.plot(GRID["asked"], theory, color=color, linestyle=look["linestyle"], label=series)
        _points(axes, wanted, results.arrays[f"{series} 2"] / wanted, color, look)
        if series == ASKED[1]:
            axes.annotate(percent(theory[0] - 1), (0.11, theory[0]), (0, 3), ha="center",
                          textcoords="offset points", fontsize=style.SMALL)  # fmt: skip
    uniform = 2 * BOUND / np.sqrt(12) / GRID["asked"]
    axes.plot(GRID["asked"], uniform, color=style.PALE, linestyle=":", zorder=0)
    axes.set(xscale="log", xlabel="standard deviation asked for", ylim=(0, 1.3))
    axes.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5])
    axes.set_ylabel("std of the weights / std asked for")
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower left")
    style.letter(axes, "bounds ±2 under three conventions")
    style.doubt(axes, results.doubted("asked"), where=(0.5, 0.55))


def _laws(axes: Axes, results: Results) -> None:
    cuts = results.arrays["cuts"]
    for series, law, look in zip(CUTS, (truncated, clipped), style.SERIES[1:], strict=False):
        theory = [law(1.0, c) for c in GRID["cuts"]]
        color = style.ALARM if results.doubted("cut", series) else look["color"]
        how: dict[str, Any] = {"color": color, "linestyle": look["linestyle"]}
        axes.plot(GRID["cuts"], [cut.moment(2) ** 0.5 for cut in theory], label=series, **how)
        axes.plot(GRID["cuts"], [cut.kurtosis for cut in theory], **how)
        _points(axes, cuts, results.arrays[f"{series} 2"], color, look)
        _points(axes, cuts, results.arrays[f"{series} 4"], color, look)
    axes.text(4.0, 2.8, "kurtosis", ha="right", va="top")
    axes.text(4.0, 0.62, "standard deviation", ha="right", va="top")
    at = truncated(1.0, 2.0)
    for value, reach in ((at.moment(2) ** 0.5, (2, -9)), (at.kurtosis, (4, -9))):
        axes.annotate(f"{value:.4f}", (2.0, value), reach, textcoords="offset points",
                      fontsize=style.SMALL, color=style.SERIES[1]["color"])  # fmt: skip
    axes.set(xlabel="cut c, in standard deviations of the uncut law", ylim=(0, 3.2))
    axes.legend(loc="upper left")
    style.letter(axes, "N(0, 1) cut at ±c")
    style.doubt(axes, results.doubted("cut"))


def _points(
    axes: Axes, x: np.ndarray, bars: np.ndarray, color: str, look: Mapping[str, Any]
) -> None:
    reach = np.maximum([bars[0] - bars[1], bars[2] - bars[0]], 0.0)
    axes.errorbar(
        x, bars[0], reach, color=color, marker=look["marker"], linestyle="none",
        markerfacecolor="white", elinewidth=0.8,
    )  # fmt: skip
