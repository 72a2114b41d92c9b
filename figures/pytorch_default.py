"""PyTorch's default weights and biases: the signal of a ReLU network dies, or is that of biases.

nn.Linear and nn.Conv2d call kaiming_uniform_ with a = sqrt(5): weights U(-r, r), r = fan_in^(-1/2),
whose variance 1/(3 fan_in) is a sixth of Kaiming's 2/fan_in for ReLU; biases have the same law. So
E x^2 falls by 1/6 a layer; with biases it stays at their 1/(5 fan_in), and the correlation of any
two inputs goes to 1. Kaiming's weights hold E x^2, Xavier's halve it in square layers.

Claims: the weights and biases of modules as PyTorch makes them have that law; each layer takes the
measured moments of two inputs below to the predicted ones; and default networks with biases do not
tell orthogonal inputs apart. These are modules that PyTorch has filled.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats
from torch import nn

import varprop as vp
from figures import style
from figures.bands import looks, mean_bands, points
from figures.judging import equivalence, share_within
from figures.results import ERROR_RATE, Claim, Results, claim_of, describe, provenance, streams
from varprop.comparison import compare
from varprop.stats import overall
from varprop.torch_modules.measure import own_stream

SERIES = {
    "Kaiming": ("kaiming_normal", None),
    "Xavier": ("xavier_normal", None),
    "default with bias": ("torch_default_weight", "torch_default_bias"),
    "default, no bias": ("torch_default_weight", None),
}
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "nn.Conv2d": lambda: nn.Conv2d(2, 8192, 3),
    "nn.Linear": lambda: nn.Linear(18, 8192),
}
LEVEL = 0.05  # of the bands, simultaneously over the layers shown
FALSE_PASS = 1e-4
FAR = 0.05  # the widest difference of distribution functions that counts as the same law
ALIKE, MOST = 0.99, 0.95  # the correlation that most default networks exceed
BINS = 40


def parameters(full: bool) -> dict[str, Any]:
    if full:
        return {"width": 192, "depth": 10, "draws": 1024, "margin": 0.15, "shown": [2, 4, 6, 8, 10]}
    return {"width": 128, "depth": 7, "draws": 800, "margin": 0.3, "shown": [1, 3, 5, 7]}


def orthogonal_pair(width: int) -> np.ndarray:
    """(2, width): x.x/n = 1 of both, x.x' = 0."""
    first = np.arange(width) < width // 2
    return np.sqrt(2.0) * np.stack([first, ~first]).astype(float)


def module(width: int, depth: int) -> nn.Module:
    """As PyTorch makes it: nobody initializes it again."""
    pairs = ((nn.Linear(width, width), nn.ReLU()) for _ in range(depth))
    return nn.Sequential(*(layer for pair in pairs for layer in pair))


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Modules as they are made, and networks of the other rules, at two orthogonal inputs."""
    width, depth, shown = (parameters[name] for name in ("width", "depth", "shown"))
    lines = np.empty((len(SERIES), 2, depth + 1))
    bands = np.empty((len(SERIES), 3, len(shown)))
    found_c = np.empty((len(SERIES), len(shown)))
    claims, networks, samples = [], {}, []
    seeds = streams(seed, len(SERIES) + 1)
    x = orthogonal_pair(width)
    for k, (series, (weights, bias)) in enumerate(SERIES.items()):
        net = vp.mlp(width, depth, weights=weights, bias=bias, output=None)
        how: dict[str, Any] = {"draws": parameters["draws"], "seed": seeds[k]}
        if bias:
            sample = vp.measure(lambda: module(width, depth), x, network=net, **how)
        else:
            how |= {"engine": "explicit", "device": device, "backward": False}
            sample = vp.simulate(net, inputs=x, **how)
        theory = vp.predict(net, x)
        names = ["input", *(f"relu_{layer}" for layer in range(1, depth + 1))]
        lines[k, 0] = [theory.value(name, "second_moment")[0] for name in names]
        lines[k, 1] = [theory.value(name, "correlation")[0, 1] for name in names]
        chosen = [names[layer] for layer in shown]
        square = np.stack([sample.values(name, "second_moment")[:, 0] for name in chosen], 1)
        cross = np.stack([sample.values(name, "cross_moment")[:, 0, 1] for name in chosen], 1)
        bands[k] = mean_bands(square, lines[k, 0, shown], range(len(shown)), LEVEL)
        found_c[k] = cross.mean(0) / square.mean(0)
        claims.append(_steps(theory, sample, parameters["margin"], series))
        if series in ("default with bias", "Kaiming"):
            claims.append(_alike(sample, names[-1], series))
        about = {"weights": weights, "bias": bias or "none", "width": width, "depth": depth}
        networks[series] = describe(net, **about, draws=sample.draws)
        samples.append(sample)
    edges, counts, laws = _weights(seeds[-1])
    arrays = {"shown": np.array(shown), "lines": lines, "bands": bands, "correlations": found_c}
    arrays |= {"edges": edges, "counts": counts}
    about = provenance(parameters, seed, reversed(samples), networks)
    return Results(arrays, (*laws, *claims), {**about, "engine": "module, explicit"})


def _weights(seed: int) -> tuple[np.ndarray, np.ndarray, list[Claim]]:
    """Entries times sqrt(fan_in): histograms of both layers' weights, and claims on their law."""
    edges, counts, claims = np.linspace(-1.25, 1.25, BINS + 1), [], []
    with own_stream(seed):
        for name, make in LAYERS.items():
            layer = make()
            parts = {key: p.detach().double().numpy() for key, p in layer.named_parameters()}
            fan_in = parts["weight"][0].size
            scaled = {key: part.ravel() * fan_in**0.5 for key, part in parts.items()}
            inside = np.histogram(scaled["weight"], edges)[0]
            counts.append(inside / scaled["weight"].size / np.diff(edges))
            claims.append(_law_claim(scaled, name))
    return edges, np.array(counts), claims


def _law_claim(scaled: Mapping[str, np.ndarray], name: str) -> Claim:
    """The distribution functions of both parts, in the band of Massart (1990)."""
    statement = (
        "weights and biases of nn.Conv2d and nn.Linear are U(−1/√fan_in, 1/√fan_in), within "
        f"{FAR:g} of the distribution function everywhere (error rate {FALSE_PASS:g})"
    )
    verdicts, gaps = [], []
    for part, entries in scaled.items():
        gap = float(stats.kstest(entries, stats.uniform(-1, 2).cdf).statistic)
        distance = partial(_distance, gap, entries.size)
        placed = equivalence(distance, FAR, FALSE_PASS, tests=len(scaled))
        verdicts.append(placed.verdict)
        gaps.append((gap, f"{name} {part}: widest difference {gap:.4f}, under {placed.high:.4f}"))
    gap, evidence = max(gaps)
    where = "weights", name, gap, ERROR_RATE
    return Claim(statement, str(overall(verdicts)), evidence, *where)


def _distance(gap: float, entries: int, level: float) -> tuple[float, float]:
    """Of the true distribution function, `gap` being that of the one found."""
    band = float(np.sqrt(np.log(2 / level) / 2 / entries))
    return max(gap - band, 0.0), gap + band


def _steps(theory: vp.Prediction, sample: vp.Sample, margin: float, series: str) -> Claim:
    report = compare(theory, sample, margin=margin, error_rate=ERROR_RATE, false_pass=FALSE_PASS)
    rows = [row for row in report.rows() if row.quantity in ("second_moment", "cross_moment")]
    statement = (
        "each layer takes the measured E x² and E x x′ of two inputs below it to the predicted "
        f"ones within {100 * margin:.0f} % (error rate {ERROR_RATE:g})"
    )
    return claim_of(rows, statement, sample.draws, "moments", series)


def _alike(sample: vp.Sample, node: str, series: str) -> Claim:
    """The share of networks with a correlation above ALIKE: most of default ones, few others."""
    c = sample.values(node, "correlation")[:, 0, 1]
    alike = int((c > ALIKE).sum())
    bounds = (MOST, np.inf) if series.startswith("default") else (-np.inf, 1 - MOST)
    verdict = share_within(alike, c.size, bounds, 2 * FALSE_PASS).verdict
    statement = (
        f"two orthogonal inputs end with a correlation above {ALIKE:g} in over {MOST:.0%} of the "
        f"default networks with bias, and in under {1 - MOST:.0%} of Kaiming's (error rate "
        f"{FALSE_PASS:g})"
    ).replace("%", "\N{NO-BREAK SPACE}%")
    evidence = f"{series}: {alike} of {c.size} networks"
    return Claim(statement, str(verdict), evidence, "alike", series, error_rate=ERROR_RATE)


def draw(results: Results) -> Figure:
    """E x^2 and the correlation by layer, and the law of the weights as they are made."""
    about = results.about["parameters"]
    note = (
        f"ReLU networks of width {about['width']} at two orthogonal inputs, x·x/n = 1. Default "
        "with bias: modules as PyTorch makes them; without: weights of the same law; Kaiming and "
        f"Xavier: normal weights. Lines: theory of wide layers; points: {about['draws']} networks, "
        "bars 95 % bands, simultaneous over the points of a curve. Without biases the correlation "
        "depends on no scale: three curves are one. Right: all weights of one module, and the law "
        "of kaiming_uniform_ for ReLU."
    )
    figure = style.page(results, 2.6, note=note)
    left, middle, right = figure.subplots(1, 3)
    for k, series in enumerate(SERIES):
        look, arrays = style.SERIES[k], results.arrays
        color, label = looks(results, "moments", series, look)
        left.plot(arrays["lines"][k, 0], color=color, linestyle=look["linestyle"])
        points(left, arrays["shown"], arrays["bands"][k], color, look["marker"])
        middle.plot(arrays["lines"][k, 1], color=color, linestyle=look["linestyle"])
        middle.plot(arrays["shown"], arrays["correlations"][k], look["marker"], color=color,
                    markerfacecolor="white", markeredgewidth=0.8)  # fmt: skip
        left.plot([], color=color, marker=look["marker"], markerfacecolor="white",
                  linestyle=look["linestyle"], label=label)  # fmt: skip
    left.set_yscale("log")
    left.legend(loc="lower left")
    _densities(right, results)
    titles = ("E x² by layer", "correlation of two inputs", "density of weights × √fan_in")
    panels = ("moments", "alike", "weights")
    for axes, title, panel in zip((left, middle, right), titles, panels, strict=True):
        style.letter(axes, title)
        style.doubt(axes, results.doubted(panel))
    for axes in (left, middle):
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    middle.set_ylim(-0.04, 1.04)
    return figure


def _densities(axes: Axes, results: Results) -> None:
    """Histograms of both layers over the two uniform laws."""
    for counts, name, look in zip(results.arrays["counts"], LAYERS, style.SERIES[2:], strict=True):
        color, label = looks(results, "weights", name, look)
        axes.stairs(counts, results.arrays["edges"], color=color, linestyle=look["linestyle"],
                    label=label)  # fmt: skip
    for reach, text, color in ((1.0, "1/√fan_in", style.INK), (6**0.5, "Kaiming", style.PALE)):
        axes.plot([-reach, -reach, reach, reach], [0, 0.5 / reach, 0.5 / reach, 0], color=color,
                  linewidth=0.8, zorder=0, label=f"U(±{text})" if reach == 1 else text)  # fmt: skip
    axes.set(xlabel="w √fan_in", ylim=(0, 0.95))
    axes.legend(loc="upper left", ncols=2, columnspacing=0.8, handlelength=1.2)
