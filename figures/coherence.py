"""N unit vectors in R^m: the Welch bound, frames that meet it, packed and random vectors.

Claims: no set of vectors is below the Welch bound and the closed-form frames meet it; the measured
coherence of random vectors is the expected one within a margin.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.judging import mean_is
from figures.results import ERROR_RATE, Claim, Results, describe, gap_evidence, provenance, streams

LEVEL = 1e-4


def parameters(full: bool) -> dict[str, Any]:
    """Vectors in 15 dimensions; a few more sizes and draws in full."""
    small = {"dimension": 15, "draws": 400, "steps": 600, "margin": 0.05}
    sizes = [8, 15, 16, 20, 24, 30, 40, 60]
    if full:
        return {**small, "draws": 2000, "steps": 3000, "margin": 0.03, "sizes": [*sizes, 90, 120]}
    return {**small, "sizes": sizes}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Coherence of random and packed vectors by size, and of the frames in closed form."""
    m, draws = parameters["dimension"], parameters["draws"]
    sizes = parameters["sizes"]
    rng = np.random.default_rng(seed)
    random = np.array(
        [
            [vp.frames.coherence(vp.frames.random_frame(n, m, rng)) for _ in range(draws)]
            for n in sizes
        ]
    )
    packed = [vp.frames.packed_frame(n, m, rng, steps=parameters["steps"]) for n in sizes]
    closed = [vp.frames.simplex_frame(m), vp.frames.dct_basis(m)]
    if 2 * m - 1 in (5, 13, 17, 29):
        closed.append(vp.frames.paley_frame(2 * m - 1))
    expected = np.array([vp.frames.random_coherence(n, m) for n in sizes])
    arrays = {
        "sizes": np.array(sizes),
        "random": random.mean(1),
        "spread": np.quantile(random, (0.05, 0.95), axis=1),
        "expected": expected,
        "packed": np.array([vp.frames.coherence(v) for v in packed]),
        "closed": np.array([[len(v), vp.frames.coherence(v)] for v in closed]),
        "bounds": np.array([_bounds(v) for v in (packed[-1], *closed)]),
    }
    claims = (
        _bound_claim([*packed, *closed], closed),
        *(
            random_claim(row, float(e), n, parameters["margin"])
            for row, e, n in zip(random, expected, sizes, strict=True)
        ),
    )
    net = vp.mlp(widths=[m, 2 * m], activation="identity", weights=vp.init.normal(variance=1 / m))
    how = {"draws": 2, "seed": streams(seed, 1)[0], "device": device}
    sample = vp.simulate(net, engine="explicit", **how)
    about = {"weights": "normal", "draws": draws}
    networks = {"random vectors as a layer": describe(net, **about)}
    return Results(arrays, claims, provenance(parameters, seed, [sample], networks))


def _bounds(vectors: np.ndarray) -> tuple[float, float]:
    return vp.frames.frame_bounds(vectors)


def _bound_claim(every: list[np.ndarray], closed: list[np.ndarray]) -> Claim:
    gaps = [vp.frames.coherence(v) - vp.frames.welch_bound(*v.shape) for v in every]
    met = max(abs(g) for g in gaps[-len(closed) :])
    verdict = vp.Verdict.CONFIRMED if min(gaps) > -1e-12 and met < 1e-12 else vp.Verdict.REFUTED
    statement = "no frame is below the Welch bound; basis, simplex and Paley frame meet it"
    return Claim(statement, str(verdict), f"They are off by {met:.1g}", "frames", error_rate=0.0)


def random_claim(
    row: np.ndarray, expected: float, size: int, margin: float, series: str = ""
) -> Claim:
    statement = (
        "the mean coherence of random vectors is that of N(N − 1)/2 independent Beta variables "
        f"within {100 * margin:.0f} % (error rate {LEVEL:g})"
    )
    name = series or str(size)
    found, gap = mean_is(row / expected, 1.0, margin, 2 * LEVEL), float(row.mean() / expected - 1)
    evidence = gap_evidence(series or f"N = {size}", gap, found.low, found.high, len(row))
    evidence = found.refusal or evidence.replace("networks", "draws")
    return Claim(statement, str(found.verdict), evidence, "random", name, gap, ERROR_RATE)


def draw(results: Results) -> Figure:
    """Coherence against the number of vectors."""
    about, arrays = results.about["parameters"], results.arrays
    m, sizes = about["dimension"], arrays["sizes"]
    note = (
        f"Coherence, the largest |cosine| between two of N unit vectors in {m} dimensions. Bars: 5 "
        f"and 95 % of {about['draws']} random draws. The basis is the cosine basis; packed vectors "
        "are pushed apart by gradient descent. Dotted: leading orders, far off at such sizes."
    )
    figure = style.page(results, 3.2, note=note, width=style.PAGE)
    axes = figure.subplots()
    grid = np.arange(2, sizes.max() + 1)
    looks = style.SERIES
    bound = [vp.frames.welch_bound(int(n), m) for n in grid]
    axes.plot(grid, bound, color=style.INK, label="Welch bound")
    axes.plot(sizes, arrays["expected"], color=looks[1]["color"], label="expected, random")
    reach = np.abs(arrays["spread"] - arrays["random"])
    axes.errorbar(
        sizes, arrays["random"], reach, color=looks[1]["color"], marker="o", linestyle="none",
        markerfacecolor="white", elinewidth=0.8, label="random vectors",
    )  # fmt: skip
    axes.plot(
        sizes, arrays["packed"], color=looks[2]["color"], marker="s", linestyle="none",
        markerfacecolor="white", label="packed",
    )  # fmt: skip
    axes.plot(
        *arrays["closed"].T, color=looks[3]["color"], marker="^", linestyle="none", markersize=5,
        label="basis, simplex, Paley",
    )  # fmt: skip
    for factor, text in ((2.0, "2 √(ln(N)/m)"), (np.sqrt(2), "√(2 ln(N)/m)")):
        axes.plot(grid, factor * np.sqrt(np.log(grid) / m), color=style.PALE, linestyle=":")
        end = factor * np.sqrt(np.log(grid[-1]) / m)
        axes.annotate(text, (grid[-1], end), (4, 0), textcoords="offset points", va="center",
                      fontsize=style.SMALL, annotation_clip=False)  # fmt: skip
    axes.set(xlabel="number of vectors N", ylabel="coherence", ylim=(-0.02, 1.1))
    axes.legend(loc="upper left", ncols=3)
    for panel in ("frames", "random"):
        style.doubt(axes, results.doubted(panel))
    return figure
