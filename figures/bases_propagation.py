"""Bases and frames as weights: how far apart their vectors are, and what they do to a signal.

Left: coherence beside Welch's bound, and the frame bounds A, B of |Vx|^2/|x|^2 in units of N/m.
Right: E x^2 of ReLU layers of gain sqrt(2) whose weights are one basis again and again, the same
with random signs, and random weights. Claims: bases, simplex and Paley frames are tight and meet
the bound; a basis with random signs keeps E x^2 like random weights, as z and -z are then
equally likely; the bare basis does not: its constant vector collects what ReLU leaves positive,
and E x^2 comes to double in every layer.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import varprop as vp
from figures import style
from figures.judging import share_within
from figures.mean_field import LEVEL, judged
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    describe,
    gap_evidence,
    percent,
    provenance,
    streams,
)

DIMENSION = 16  # of the frames on the left
PRIME = 29  # Paley: 30 vectors in 15 dimensions
BASES: dict[str, Callable[[int], np.ndarray]] = {
    "cosine (DCT)": vp.frames.dct_basis,
    "Hadamard": vp.frames.hadamard_basis,
    "Haar wavelets": vp.frames.haar_basis,
}
RANDOM = {
    "Gaussian": vp.init.get("kaiming_normal"),
    "random orthogonal": vp.init.orthogonal(gain=2**0.5),
}
SIGNS = " × random signs"
TAIL, GROWTH = 4, 0.05  # layers over which growth is judged, and its margin for one layer
FEW = 0.05  # of the inputs may grow otherwise


def parameters(full: bool) -> dict[str, Any]:
    if full:
        return {"width": 256, "depth": 20, "draws": 2500, "steps": 3000, "margin": 0.1}
    return {"width": 128, "depth": 8, "draws": 2000, "steps": 600, "margin": 0.2}


def frames_of(seed: int, steps: int) -> dict[str, np.ndarray]:
    """The sets of vectors on the left."""
    m, rng = DIMENSION, np.random.default_rng(seed)
    return {
        **{f"{m} {name}": basis(m) for name, basis in BASES.items()},
        f"{m} random": vp.frames.random_frame(m, m, rng),
        f"{m + 1} of the simplex": vp.frames.simplex_frame(m),
        f"{PRIME + 1} of Paley (m = {(PRIME + 1) // 2})": vp.frames.paley_frame(PRIME),
        f"{2 * m} packed": vp.frames.packed_frame(2 * m, m, rng, steps=steps),
        f"{2 * m} random": vp.frames.random_frame(2 * m, m, rng),
    }


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Coherence and bounds of the frames; mean squares of ReLU layers by weights."""
    width, depth, draws = (parameters[k] for k in ("width", "depth", "draws"))
    margin, seeds = parameters["margin"], streams(seed, 2 + len(RANDOM))
    frames = frames_of(seeds[0], parameters["steps"])
    arrays = {"frames": np.array([_numbers(v) for v in frames.values()])}
    claims, networks, samples = [_tight_claim(frames, arrays["frames"])], {}, []
    rng = np.random.default_rng(seeds[1])
    for name, basis in BASES.items():
        for label in (name, name + SIGNS):
            found = layers(basis(width), depth, draws, rng, signs=label != name)
            arrays[label] = found.mean(0)
            bare = label == name
            claims.append(_doubling(found, label) if bare else _kept(found, margin, label))
            networks[label] = {"weights": label, "draws": draws, "parameters": depth * width**2}
    for own, (name, law) in zip(seeds[2:], RANDOM.items(), strict=True):
        net = vp.mlp(width, depth, activation="relu", weights=law, output=None)
        how = {"draws": draws, "seed": own, "device": device, "backward": False}
        sample = vp.simulate(net, engine="explicit", **how)
        nodes = [f"relu_{layer}" for layer in range(1, depth + 1)]
        found = np.stack([sample.values(node, "second_moment")[:, 0] for node in nodes], 1)
        theory = [vp.predict(net).value(node, "second_moment")[0] for node in nodes]
        arrays[name] = found.mean(0)
        claims.append(_kept(found / theory, margin, name))
        networks[name] = describe(net, weights=law, width=width, depth=depth, draws=draws)
        samples.append(sample)
    return Results(arrays, tuple(claims), provenance(parameters, seed, samples, networks))


def layers(
    basis: np.ndarray, depth: int, draws: int, rng: np.random.Generator, *, signs: bool
) -> np.ndarray:
    """x.x/n of x = sqrt(2) max(Wx, 0) by layer (draws, depth), W the basis, or the basis times
    fresh random signs of its columns; random unit inputs."""
    n = len(basis)
    x = rng.standard_normal((draws, n))
    x *= np.sqrt(n) / np.linalg.norm(x, axis=-1, keepdims=True)
    found = np.empty((draws, depth))
    for layer in range(depth):
        x = x * rng.choice((-1.0, 1.0), x.shape) if signs else x
        x = np.sqrt(2) * np.maximum(x @ basis.T, 0.0)
        found[:, layer] = np.mean(x**2, -1)
    return found


def _numbers(vectors: np.ndarray) -> tuple[float, float, float, float]:
    """Coherence, Welch's bound, and the frame bounds over N/m."""
    count, m = vectors.shape
    low, high = vp.frames.frame_bounds(vectors)
    bound = vp.frames.welch_bound(count, m)
    return vp.frames.coherence(vectors), bound, low * m / count, high * m / count


def _tight_claim(frames: Mapping[str, np.ndarray], numbers: np.ndarray) -> Claim:
    """Off by rounding: coherence from the bound, and both frame bounds from N/m."""
    tight = [k for k, name in enumerate(frames) if "random" not in name and "packed" not in name]
    off = np.abs(numbers[tight] - numbers[tight][:, [1, 1, 0, 0]] * [1, 1, 0, 0] - [0, 0, 1, 1])
    above = float((numbers[:, 0] - numbers[:, 1]).min())
    verdict = vp.Verdict.CONFIRMED if off.max() < 1e-12 < above + 2e-12 else vp.Verdict.REFUTED
    statement = (
        "bases, simplex and Paley frame meet the Welch bound and keep |x| up to a factor "
        "(A = B = N/m); none is below the bound"
    )
    evidence = f"Off by at most {off.max():.1g}"
    return Claim(statement, str(verdict), evidence, "frames", error_rate=0.0)


def _kept(found: np.ndarray, margin: float, series: str) -> Claim:
    """E x.x/n is 1 at the last layer."""
    verdict, gap, low, high = judged(found[:, -1], margin)
    statement = (
        "random weights, and bases with random signs, keep E x² at 1 through ReLU layers of gain "
        f"√2, within {percent(margin, 0).lstrip('+')} at the last one"
    )
    evidence = gap_evidence(series, gap, low, high, len(found)).replace("networks", "draws")
    return Claim(statement, verdict, evidence, "layers", series, gap, ERROR_RATE)


def _doubling(found: np.ndarray, series: str) -> Claim:
    """x.x/n of nearly every input doubles, the most that a gain of sqrt(2) can do."""
    growth = (found[:, -1] / found[:, -1 - TAIL]) ** (1 / TAIL)
    away = int((np.abs(growth / 2 - 1) > GROWTH).sum())
    placed = share_within(away, len(growth), (-np.inf, FEW), LEVEL)
    statement = (
        f"under a bare basis x·x comes to double in every layer, within {percent(GROWTH, 0)[1:]} a "
        f"layer over the last {TAIL}, for all but {percent(FEW, 0)[1:]} of inputs"
    )
    evidence = (
        f"Factor {growth.min():.3f} to {growth.max():.3f}, at most {percent(placed.high)[1:]} of "
        f"inputs are further, {series}, {len(growth)} inputs"
    )
    where = "layers", series, float(growth.mean() / 2 - 1), ERROR_RATE
    return Claim(statement, str(placed.verdict), evidence, *where)


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        f"Left: N unit vectors in {DIMENSION} dimensions; the coherence is the largest |cosine| "
        "between two. Middle: least and largest |Vx|²/|x|², over N/m. Right: "
        f"x ← √2 max(Wx, 0) of {about['width']} units, {about['draws']} random inputs with "
        "x·x/n = 1; W is the same in every layer for bare bases, fresh in each otherwise."
    )
    figure = style.page(results, 3.1, note=note)
    left, middle, right = figure.subplots(1, 3, width_ratios=(0.8, 0.7, 1.6))
    _frames(left, middle, results)
    _layers(right, results)
    style.doubt(left, results.doubted("frames"))
    style.doubt(right, results.doubted("layers"))
    return figure


def _frames(left: Axes, middle: Axes, results: Results) -> None:
    names = list(frames_of(0, 1))
    for place, (cosine, bound, low, high) in enumerate(results.arrays["frames"][::-1]):
        left.plot(bound, place, "|", color=style.INK, markersize=8, markeredgewidth=1.2)
        left.plot(cosine, place, "o", color=style.SERIES[1]["color"], markerfacecolor="none")
        middle.plot([low, high], [place, place], "o-", color=style.SERIES[1]["color"],
                    markerfacecolor="white")  # fmt: skip
    left.plot([], [], "|", color=style.INK, label="Welch")
    left.set_yticks(range(len(names)), names[::-1], fontsize=style.SMALL)
    left.set(xlabel="coherence", xlim=(-0.08, 1))
    left.legend(loc="upper right", fontsize=style.SMALL, handlelength=1, borderaxespad=0)
    middle.axvline(1, color=style.PALE, linewidth=0.8, zorder=0)
    middle.set(xlabel="A, B over N/m", yticks=[], xlim=(-0.2, None))
    style.letter(left, "vectors")
    style.letter(middle, "frame bounds")


def _layers(axes: Axes, results: Results) -> None:
    depth = np.arange(1, results.about["parameters"]["depth"] + 1)
    axes.axhline(1, color=style.INK, linewidth=0.8, zorder=0)
    for name, look in zip(BASES, style.SERIES, strict=False):
        for label, fill, line in ((name, look["color"], "-"), (name + SIGNS, "white", ":")):
            color = style.ALARM if results.doubted("layers", label) else look["color"]
            axes.plot(depth, results.arrays[label], line, marker=look["marker"], color=color,
                      markerfacecolor=fill, label=label)  # fmt: skip
    for name, marker in zip(RANDOM, "x+", strict=True):
        color = style.ALARM if results.doubted("layers", name) else style.INK
        axes.plot(depth, results.arrays[name], marker, color=color, label=name)
    axes.set(yscale="log", xlabel="layer", ylabel="E x²")
    axes.set_ylim(0.4, 4 * max(results.arrays[name][-1] for name in BASES))
    axes.legend(loc="upper left", fontsize=style.SMALL)
    style.letter(axes, "ReLU layers")
