"""Residual branches that end in ReLU: their mean adds up, and so does the signal.

Blocks x' = x + s relu(W x) with He weights. A branch of mean zero would multiply E x^2 by 1 + s^2;
this one has the mean s sqrt(q/pi), which the shortcut keeps: E x grows, and with it the cross term
2 s E x sqrt(q/pi) of the next block. So s = 1/sqrt(L), which holds other stacks below e, does not
hold this one; s = 1/L does (Hanin and Rolnick 2018: the sum of the s must stay finite). Gradients
are not shown: their limit (1 + s^2)^l is left early at finite width, since they too have a part
along the mean, of size 1/n, that grows faster (n = 64, s = 1: over three times it after 11 blocks).

Claims: each block takes measured E x and E x^2 to the predicted ones; so does the whole stack; and
the theory that leaves the mean out is too low.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import varprop as vp
from figures import style
from figures.bands import looks, mean_bands, points
from figures.judging import mean_within
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    claim_of,
    describe,
    gap_evidence,
    provenance,
    streams,
)
from varprop.comparison import compare

SERIES = ("s = 1", "s = 1/√L", "s = 1/L")
DEEP = SERIES[1:]  # those drawn against the depth of the stack
HE = 2.0  # fan_in Var(w)
LEVEL = 0.05  # of the bands, simultaneously over the points of a curve
FALSE_PASS = 1e-4
EXCESS = 0.1  # by which the theory of zero-mean branches is claimed to be too low, of its value


def parameters(full: bool) -> dict[str, Any]:
    """`depth` of the stacks shown by block, `depths` of those shown whole."""
    shown = [2, 4, 6, 8, 10, 12]
    sizes = {"width": 64, "depth": 12, "draws": 1024, "margin": 0.2, "shown": shown}
    if full:
        return {**sizes, "width": 128, "margin": 0.1, "depths": [4, 8, 16, 32, 64]}
    return {**sizes, "depths": [4, 8, 16, 32]}


def scale(series: str, depth: int) -> float:
    return {"s = 1": 1.0, "s = 1/√L": depth**-0.5}.get(series, 1 / depth)


def network(series: str, width: int, depth: int) -> vp.Network:
    """s relu(W x) = relu(s W x): the scale is part of the weights."""
    weights = vp.init.variance_scaling(HE * scale(series, depth) ** 2, "fan_in", "normal")
    return vp.residual(width, depth, weights=weights, closing=False)


def stack(series: str, depth: int) -> vp.ResidualStack:
    """The recursion that `predict` folds, for deep stacks."""
    return vp.residual_stack("relu", weight_variance=HE, scale=scale(series, depth))


def zero_mean(series: str, depth: int) -> np.ndarray:
    """E x^2 after 0, ..., L blocks if branches had mean zero, as before a closing LeCun matrix."""
    closed = vp.residual_stack(
        "relu", weight_variance=HE, branch_variance=1.0, scale=scale(series, depth)
    )
    return closed.iterate(1.0, depth).q


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Stacks of one depth by block, and whole stacks by depth."""
    width, draws, margin = (parameters[name] for name in ("width", "draws", "margin"))
    depth, shown, depths = (parameters[name] for name in ("depth", "shown", "depths"))
    arrays: dict[str, np.ndarray] = {
        "shown": np.array(shown),
        "lines": np.array([stack(series, depth).iterate(1.0, depth) for series in SERIES]),
        "zero_mean": np.array([zero_mean(series, depth) for series in SERIES]),
        "bands": np.empty((len(SERIES), 3, len(shown))),
        "means": np.empty((len(SERIES), len(shown))),
        "depths": np.array(depths),
        "ends": np.empty((len(DEEP), 3, len(depths))),
    }
    claims, networks, samples = [], {}, []
    seeds = iter(streams(seed, len(SERIES) + len(DEEP) * len(depths)))

    def drawn(series: str, blocks: int) -> tuple[vp.Network, vp.Sample]:
        net = network(series, width, blocks)
        how = {"engine": "explicit", "device": device, "backward": False}
        sample = vp.simulate(net, draws=draws, seed=next(seeds), **how)
        about = {"weights": net.nodes[1].layer.weights, "width": width, "depth": blocks}
        networks[f"{series}, L = {blocks}"] = describe(net, **about, draws=draws)
        samples.append(sample)
        return net, sample

    for k, series in enumerate(SERIES):
        net, sample = drawn(series, depth)
        found = np.stack(
            [sample.values(f"add_{block}", "second_moment")[:, 0] for block in shown], 1
        )
        means = [sample.values(f"add_{block}", "mean")[:, 0].mean() for block in shown]
        line = arrays["lines"][k, 0, shown]
        arrays["bands"][k] = mean_bands(found, line, range(len(shown)), LEVEL)
        arrays["means"][k] = np.array(means) ** 2 / arrays["bands"][k, 0]
        claims.append(_steps(vp.predict(net), sample, margin, series))
        claims += _ends(found[:, -1], series, depth, margin, "blocks")
    for k, series in enumerate(DEEP):
        for j, blocks in enumerate(depths):
            net, sample = drawn(series, blocks)
            found = sample.values(net.output, "second_moment")
            line = np.array([stack(series, blocks).iterate(1.0, blocks).q[-1]])
            arrays["ends"][k, :, j] = mean_bands(found, line, [0], LEVEL / len(depths))[:, 0]
            claims += _ends(found[:, 0], series, blocks, margin, "depths")
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _steps(theory: vp.Prediction, sample: vp.Sample, margin: float, series: str) -> Claim:
    report = compare(theory, sample, margin=margin, error_rate=ERROR_RATE, false_pass=FALSE_PASS)
    statement = (
        "each block takes measured E x and E x² below it to the predicted ones within "
        f"{100 * margin:.0f} % (error rate {ERROR_RATE:g})"
    )
    return claim_of(tuple(report.rows()), statement, sample.draws, "blocks", series)


def _ends(found: np.ndarray, series: str, depth: int, margin: float, panel: str) -> list[Claim]:
    """The whole stack is at its line, and not at that of branches of mean zero."""
    lines = np.array([stack(series, depth).iterate(1.0, depth).q[-1], zero_mean(series, depth)[-1]])
    where = f"{series}, L = {depth}"
    statements = (
        f"E x² after L blocks is the predicted one within {100 * margin:.0f} % (error rate "
        f"{FALSE_PASS:g})",
        "that of a theory of zero-mean branches is exceeded by more than "
        f"{100 * EXCESS:.0f} % of it (error rate {FALSE_PASS:g})",
    )
    claims = []
    bounds = (-margin, margin), (EXCESS, np.inf)
    for statement, line, allowed, agrees in zip(
        statements, lines, bounds, (True, False), strict=True
    ):
        placed = mean_within(found / line, 1.0, allowed, 2 * FALSE_PASS)
        gap = float(found.mean() / line - 1)
        evidence = placed.refusal or gap_evidence(where, gap, placed.low, placed.high, len(found))
        if not agrees:
            evidence = evidence.replace("Widest gap", "Least gap")
        # Claims of one statement are told by their widest gap: of these, the least is wanted.
        order = gap if agrees else 1 / (1 + gap)
        told = evidence, panel, series, order, ERROR_RATE
        claims.append(Claim(statement, str(placed.verdict), *told))
    return claims


def draw(results: Results) -> Figure:
    """E x^2 by block, the share of the mean, and E x^2 of whole stacks by their depth."""
    about, arrays = results.about["parameters"], results.arrays
    note = (
        f"Blocks x + s relu(W x) of width {about['width']} with He weights, inputs with x·x/n = 1 "
        f"and mean 0; left and middle: L = {about['depth']}. Lines: theory; grey: the theory of "
        f"branches of mean zero, (1 + s²)^l; points: {about['draws']} networks with real weights; "
        "bars: 95 % bands, simultaneous over the points of a curve. The lines are those of wide "
        "layers, which the share leaves first as stacks of finite width grow deep."
    )
    figure = style.page(results, 2.5, note=note)
    left, middle, right = figure.subplots(1, 3)
    for k, series in enumerate(SERIES):
        look = style.SERIES[k + 1]
        color, label = looks(results, "blocks", series, look)
        q, mu = arrays["lines"][k]
        left.plot(arrays["zero_mean"][k], color=style.PALE, linestyle=look["linestyle"], zorder=0)
        left.plot(q, color=color, linestyle=look["linestyle"])
        points(left, arrays["shown"], arrays["bands"][k], color, look["marker"])
        middle.plot(mu**2 / q, color=color, linestyle=look["linestyle"])
        middle.plot(arrays["shown"], arrays["means"][k], look["marker"], color=color,
                    markerfacecolor="white", markeredgewidth=0.8)  # fmt: skip
        left.plot([], color=color, marker=look["marker"], markerfacecolor="white",
                  linestyle=look["linestyle"], label=label)  # fmt: skip
    for k, series in enumerate(DEEP):
        _whole_stacks(right, results, k, series)
    for axes in (left, right):
        axes.set_yscale("log")
    for axes in (left, middle):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(loc="upper left")
    titles = ("E x² by block", "share of the mean, (E x)²/E x²", "E x² of whole stacks")
    names = ("block l", "block l", "depth L")
    for axes, title, x in zip((left, middle, right), titles, names, strict=True):
        axes.set_xlabel(x)
        style.letter(axes, title)
    for axes, panel in ((left, "blocks"), (middle, "blocks"), (right, "depths")):
        style.doubt(axes, results.doubted(panel))
    return figure


def _whole_stacks(axes: Axes, results: Results, k: int, series: str) -> None:
    """One scale against the depth of the stack, by theory and measured."""
    look = style.SERIES[SERIES.index(series) + 1]
    color, _ = looks(results, "depths", series, look)
    depths = results.arrays["depths"]
    grid = np.unique(np.geomspace(depths[0], depths[-1], 40).round().astype(int))
    line = [stack(series, int(depth)).iterate(1.0, int(depth)).q[-1] for depth in grid]
    below = [zero_mean(series, int(depth))[-1] for depth in grid]
    axes.plot(grid, below, color=style.PALE, linestyle=look["linestyle"], zorder=0)
    axes.plot(grid, line, color=color, linestyle=look["linestyle"])
    points(axes, depths, results.arrays["ends"][k], color, look["marker"])
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [str(depth) for depth in depths])
