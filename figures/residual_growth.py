"""How a residual stack grows with its depth: by 2 a block, linearly, and to e; both ways.

Blocks x' = x + s V phi(W x) of He (W) and LeCun (V) weights keep each branch at the second moment
of its input, so a block multiplies by 1 + s^2: 2^L for s = 1, L + 1 for s = 1/sqrt(l) in block l
(the share that a normalised branch has, De and Smith 2020), (1 + 1/L)^L < e for s = 1/sqrt(L)
(Hayou et al. 2021). A branch that ends in tanh adds at most 1, whatever it is added to.

Claims: each block takes what was measured below it, and the gradient above it, to the predicted
one; and over all blocks the growth is that of the line.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import varprop as vp
from figures import style
from figures.bands import looks, mean_bands, points, product_bands
from figures.judging import equivalence, mean_is
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

SERIES = ("s = 1", "s = 1/√l", "s = 1/√L", "tanh, s = 1")
PANELS = {"second_moment": "forward", "grad_second_moment": "backward"}
LEVEL = 0.05  # of the bands, simultaneously over the blocks shown and one panel
FALSE_PASS = 1e-4


def parameters(full: bool) -> dict[str, Any]:
    if full:
        return {"width": 128, "depth": 24, "draws": 2048, "margin": 0.1, "shown": [6, 12, 18, 24]}
    return {"width": 64, "depth": 12, "draws": 1024, "margin": 0.2, "shown": [3, 6, 9, 12]}


def network(series: str, width: int, depth: int) -> vp.Network:
    """A stack of that series; the scale of a branch is part of its closing weights."""
    tanh = series.startswith("tanh")
    opening = vp.init.variance_scaling(1 if tanh else 2, "fan_in", "normal")
    phi = vp.Elementwise(vp.activation("tanh" if tanh else "relu"))
    graph = vp.Graph(width)
    x = graph.input
    for block in range(1, depth + 1):
        share = {"s = 1/√l": 1 / block, "s = 1/√L": 1 / depth}.get(series, 1)
        closing = vp.init.variance_scaling(share, "fan_in", "normal")
        branch = graph.add(phi, graph.add(vp.Dense(width, width, opening), x))
        x = graph.add(vp.Add(), x, graph.add(vp.Dense(width, width, closing), branch))
    return graph.network()


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Draw each stack, judge its blocks and its growth, keep lines and bands of both ways."""
    width, depth, shown = parameters["width"], parameters["depth"], parameters["shown"]
    lines = np.empty((len(SERIES), len(PANELS), depth + 1))
    bands = np.empty((len(SERIES), len(PANELS), 3, len(shown)))
    claims, networks, samples = [], {}, []
    for k, (series, stream) in enumerate(zip(SERIES, streams(seed, len(SERIES)), strict=True)):
        net = network(series, width, depth)
        theory = vp.predict(net)
        sample = vp.simulate(
            net, draws=parameters["draws"], seed=stream, device=device, engine="explicit"
        )
        for p, quantity in enumerate(PANELS):
            line, found = _by_block(theory, sample, quantity, depth)
            exact = p == 0 and series.startswith("s")
            at = shown if p == 0 else [depth - block for block in shown]
            how = product_bands(found, at, LEVEL) if exact else None
            lines[k, p] = line
            bands[k, p] = mean_bands(found, line, at, LEVEL) if how is None else how
            if p == 0:
                claims.append(_growth(found, line, exact, parameters["margin"], series))
        claims += _blocks(theory, sample, parameters["margin"], series)
        about = {"weights": net.nodes[1].layer.weights, "width": width, "depth": depth}
        networks[series] = describe(net, **about, draws=sample.draws)
        samples.append(sample)
    arrays = {"shown": np.array(shown), "lines": lines, "bands": bands}
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def _by_block(
    theory: vp.Prediction, sample: vp.Sample, quantity: str, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction (L + 1,) and networks (draws, L + 1) at the input and after each block."""
    names = ["input", *(f"add_{block}" for block in range(1, depth + 1))]
    line = np.array([theory.value(name, quantity)[0] for name in names])
    return line, np.stack([sample.values(name, quantity)[:, 0] for name in names], 1)


def _blocks(theory: vp.Prediction, sample: vp.Sample, margin: float, series: str) -> list[Claim]:
    """A claim on the rows of each way: steps of E x^2, and of tangents for the gradient."""
    report = compare(theory, sample, margin=margin, error_rate=ERROR_RATE, false_pass=FALSE_PASS)
    statement = (
        "each block takes the measured E x² below it, and by tangents the gradient's, to the "
        f"predicted one within {100 * margin:.0f} % (error rate {ERROR_RATE:g})"
    )
    return [
        claim_of(rows, statement, sample.draws, panel, series)
        for quantity, panel in PANELS.items()
        if (rows := [row for row in report.rows() if row.quantity == quantity])
    ]


def _growth(found: np.ndarray, line: np.ndarray, exact: bool, margin: float, series: str) -> Claim:
    """Equivalence of E x^2 after the last block with the line."""
    depth = len(line) - 1

    def product(level: float) -> np.ndarray:
        """Estimate, low, high of the gap, relative to the line."""
        return product_bands(found, [depth], level)[:, 0] / line[-1] - 1

    if exact:
        gap = float(product(LEVEL)[0])
        placed = equivalence(lambda level: tuple(product(level)[1:]), margin, 2 * FALSE_PASS)
    else:
        last = found[:, -1] / line[-1]
        gap, placed = float(last.mean() - 1), mean_is(last, 1.0, margin, 2 * FALSE_PASS)
    statement = (
        f"E x² after {depth} blocks is 2^L, L + 1, (1 + 1/L)^L and the line of tanh, within "
        f"{100 * margin:.0f} % (error rate {FALSE_PASS:g})"
    )
    evidence = placed.refusal or gap_evidence(series, gap, placed.low, placed.high, len(found))
    where = PANELS["second_moment"], series, gap, ERROR_RATE
    return Claim(statement, str(placed.verdict), evidence, *where)


def draw(results: Results) -> Figure:
    """E x^2 by block on the left, that of the gradient on the right."""
    about = results.about["parameters"]
    note = (
        f"{about['depth']} residual blocks x + s V φ(W x) of width {about['width']} on inputs with "
        "x·x/n = 1: φ = ReLU with He weights W, or tanh with LeCun weights W; V LeCun. Lines: "
        f"theory; points: {about['draws']} networks with real weights; bars: 95 % bands, "
        "simultaneous over the points of a curve. Gradients start at E g² = 1 after the last block."
    )
    figure = style.page(results, 2.9, note=note)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for p, (axes, panel) in enumerate(zip(panels, PANELS.values(), strict=True)):
        for k in range(len(SERIES)):
            _curve(axes, results, k, p)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axhline(np.e, color=style.PALE, linestyle=":", zorder=0)
        where = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(1.01, np.e, "e", fontsize=style.SMALL, **where)
        axes.set_xlabel("block l")
        style.letter(axes, ("E x² after a block", "E g² of the gradient after a block")[p])
        style.doubt(axes, results.doubted(panel))
    panels[0].legend(loc="upper left")
    return figure


def _curve(axes: Axes, results: Results, k: int, p: int) -> None:
    """One series: its line, and its bars."""
    look, arrays = style.SERIES[k], results.arrays
    color, label = looks(results, list(PANELS.values())[p], SERIES[k], look)
    axes.plot(arrays["lines"][k, p], color=color, linestyle=look["linestyle"])
    shown = arrays["shown"] if p == 0 else arrays["lines"].shape[-1] - 1 - arrays["shown"]
    points(axes, shown, arrays["bands"][k, p], color, look["marker"])
    axes.plot([], color=color, marker=look["marker"], markerfacecolor="white",
              linestyle=look["linestyle"], label=label)  # fmt: skip
