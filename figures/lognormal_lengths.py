"""The law of the squared length over ReLU networks: drawn, exact, and log-normal.

Claims: over networks with real weights the distribution function of |x_L|^2/n is the exact one
within the margin everywhere (Dvoretzky-Kiefer-Wolfowitz-Massart). The dashed line is the log-normal
limit N(-beta/2, beta), beta = 5 L/n, of Hanin and Nica (2020).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import varprop as vp
from figures import style
from figures.judging import equivalence
from figures.results import ERROR_RATE, Claim, Results, describe, provenance, streams

FALSE_PASS = 1e-4


def parameters(full: bool) -> dict[str, Any]:
    """Two widths at the same depth over width."""
    if full:
        return {"widths": [16, 128], "ratio": 1, "draws": 8192, "margin": 0.05, "bins": 45}
    return {"widths": [8, 32], "ratio": 1, "draws": 2048, "margin": 0.1, "bins": 30}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw networks, judge them against the exact law, keep histograms and curves."""
    widths, draws, bins = parameters["widths"], parameters["draws"], parameters["bins"]
    arrays: dict[str, list[np.ndarray]] = {
        k: [] for k in ("edges", "counts", "grid", "exact", "limit", "marks")
    }
    claims, networks, samples = [], {}, []
    for width, stream in zip(widths, streams(seed, len(widths)), strict=True):
        net = vp.mlp(width, width * parameters["ratio"], output=None)
        sample = vp.simulate(net, draws=draws, seed=stream, device=device, engine="explicit")
        found = sample.values(net.output, "second_moment")[:, 0]
        law = vp.length_law(net)
        logs = np.log(found[found > 0])
        reach = 4.5 * law.log_variance**0.5
        edges = np.linspace(law.log_mean - reach, law.log_mean + reach, bins + 1)
        grid = np.linspace(edges[0], edges[-1], 301)
        normal = stats.norm.pdf(grid, -law.beta / 2, law.beta**0.5)
        marks = np.log([law.median, law.mean, np.median(found), found.mean()])
        rows = (edges, np.histogram(logs, edges)[0] / found.size / np.diff(edges), grid,
                law.log_density(grid), normal, marks)  # fmt: skip
        for name, value in zip(arrays, rows, strict=True):
            arrays[name].append(value)
        claims.append(_claim(law, found, parameters["margin"], str(width)))
        about = {"weights": "kaiming_normal", "width": width, "activation": "relu"}
        networks[str(width)] = describe(net, **about, draws=draws)
        samples.append(sample)
    stacked = {name: np.array(values) for name, values in arrays.items()}
    return Results(stacked, tuple(claims), provenance(parameters, seed, samples, networks))


def _claim(law: vp.LengthLaw, found: np.ndarray, margin: float, panel: str) -> Claim:
    alive = found[found > 0]
    test = stats.kstest(alive, lambda x: (law.cdf(x) - law.dead) / (1 - law.dead))
    gap, band = float(test.statistic), _reach(FALSE_PASS, alive.size)

    def distance(level: float) -> tuple[float, float]:
        return max(gap - _reach(level / 2, alive.size), 0.0), gap + _reach(level / 2, alive.size)

    verdict = equivalence(distance, margin, 2 * FALSE_PASS).verdict
    if test.pvalue <= ERROR_RATE:  # the law is exact
        verdict = vp.Verdict.REFUTED
    statement = (
        "the distribution of the squared length over networks is the product of gated chi-squares, "
        f"within {margin:g} of the distribution function everywhere"
    )
    evidence = f"n = {panel}: widest difference {gap:.4f} ± {band:.4f}, {found.size} networks"
    return Claim(statement, str(verdict), evidence, panel, gap=gap, error_rate=ERROR_RATE)


def _reach(level: float, draws: int) -> float:
    """Two distribution functions differ by less, with probability 1 - level (Massart 1990)."""
    return float(np.sqrt(np.log(2 / level) / 2 / draws))


def draw(results: Results) -> Figure:
    """One panel a width: histogram of log |x_L|²/n, exact density, log-normal limit."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        "log(|x_L|²/n) over ReLU networks with He weights, L/n = "
        f"{about['ratio']}. Bars: networks with real weights; line: exact law; dashed: log-normal "
        "limit. Ticks at the bottom: median and mean of |x_L|²/n; open marks: those measured."
    )
    figure = style.page(results, 2.3, note=note)
    panels = np.atleast_1d(figure.subplots(1, len(about["widths"])))
    for k, (axes, width) in enumerate(zip(panels, about["widths"], strict=True)):
        edges = arrays["edges"][k]
        axes.stairs(arrays["counts"][k], edges, fill=True, color=style.PALE, label="networks")
        exact, limit = style.SERIES[1], style.SERIES[2]
        axes.plot(arrays["grid"][k], arrays["exact"][k], color=exact["color"], label="exact law")
        axes.plot(
            arrays["grid"][k], arrays["limit"][k], color=limit["color"],
            linestyle=limit["linestyle"], label="log-normal limit",
        )  # fmt: skip
        median, mean, seen_median, seen_mean = arrays["marks"][k]
        tick = 0.1 * float(np.max(arrays["exact"][k]))
        axes.vlines([median, mean], 0, tick, color=style.INK, linewidth=1.0)
        for name, place, side in (("median ", median, "right"), (" mean", mean, "left")):
            axes.text(place, tick, name, fontsize=style.SMALL, ha=side, va="top")
        axes.plot([seen_median, seen_mean], [0, 0], "o", color=style.INK, markerfacecolor="white",
                  clip_on=False)  # fmt: skip
        axes.set_xlabel(style.typeset("log(|x_L|²/n)"))
        style.letter(axes, f"n = {width}, L = {width * about['ratio']}")
        style.doubt(axes, results.doubted(str(width)))
    panels[0].set_ylabel("density over networks")
    panels[0].legend(loc="upper left")
    return figure
