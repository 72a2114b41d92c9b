"""Layers at which a signal leaves the range of float16, bfloat16, float32 and float64.

Left: size of the signal by layer in float32 under N(0, 1) and N(0, 0.01^2) weights, up to the layer
that is lost. Right: the first layer that is not finite, or all zeros, against the width. Claims:
the share of networks that have overflowed by each layer, and that have lost their signal within
two layers of the prediction, are the predicted ones; and so is the typical size of the signal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

import varprop as vp
from figures import style
from figures.judging import mean_is, share_within
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    Tensors,
    describe,
    percent,
    provenance,
    streams,
)
from varprop.montecarlo.devices import find_device, find_dtype, flushes
from varprop.stats import overall
from varprop.theory import exceedance

DTYPES = ("float16", "bfloat16", "float32", "float64")
STACKS = {  # activation and standard deviation of the weights
    "no activation, N(0, 1)": ("identity", 1.0),
    "ReLU, N(0, 1)": ("relu", 1.0),
    "tanh, N(0, 1)": ("tanh", 1.0),
    "no activation, N(0, 0.01²)": ("identity", 0.01),
}
UP, DOWN = "no activation, N(0, 1)", "no activation, N(0, 0.01²)"
TITLES = {"overflow": "overflow, N(0, 1)", "underflow": "all zeros, N(0, 0.01²)"}
LEVEL = 1e-4  # of each interval, two-sided, shared by the layers of a series
SIZE_LEVEL = 1e-3  # of the typical size, whose logarithm is skew
NEAR = 2  # layers: what rounding near zero may move the loss by
SURE = 1e-6  # shares below are none
ENTRIES = 2**24  # weights held at once


class Passes(NamedTuple):
    """A stack in several dtypes.

    `lost` by dtype: the first lost layer of each network, 0 if none is;  `logs` (draws, layers):
    log root mean square of float32's dense layers, nan from the lost one on.
    """

    lost: dict[str, np.ndarray]
    logs: np.ndarray


def parameters(full: bool) -> dict[str, Any]:
    if full:
        sizes = {"widths": [16, 32, 64, 128, 256, 512], "widest_float64": 128, "draws": 256}
        return {**sizes, "wide_draws": 160, "width": 256, "tanh_layers": 30, "margin": 0.3}
    sizes = {"widths": [32, 64, 256], "widest_float64": 64, "draws": 256}
    return {**sizes, "wide_draws": 128, "width": 256, "tanh_layers": 20, "margin": 0.35}


def network(stack: str, width: int, depth: int) -> vp.Network:
    activation, std = STACKS[stack]
    return vp.mlp(width, depth, activation=activation, weights=vp.init.normal(std=std), output=None)


def log_limit(dtype: str, stack: str, device: str = "cpu") -> float:
    """The logarithm of the bound: the largest number, or half the smallest that products keep."""
    kind = torch.finfo(find_dtype(dtype))
    if stack != DOWN:
        return float(np.log(kind.max))
    if flushes(find_dtype(dtype), device):
        return float(np.log(kind.smallest_normal))
    return float(np.log(kind.smallest_normal) + np.log(kind.eps) - np.log(2))


def shares(stack: str, width: int, dtype: str, device: str) -> np.ndarray:
    """P(the signal is lost by layer l), l = 1, 2, ..., up to a share above 1 - SURE."""
    _, std = STACKS[stack]
    bound, down = log_limit(dtype, stack, device), stack == DOWN
    layer = int(bound / np.log(std * width**0.5))
    net = network(stack, width, 2 * layer + 20)

    def lost(layer: int) -> float:
        beyond = exceedance(net, f"dense_{layer}", bound)
        return 1 - beyond if down else beyond

    found = [lost(layer)]
    while found[-1] < 1 - SURE:
        found.append(lost(layer + len(found)))
    while layer > 1 and found[0] > SURE:
        layer -= 1
        found.insert(0, lost(layer))
    return np.append(np.zeros(layer - 1), found)


def expected_layer(found: np.ndarray) -> float:
    """The mean of the first lost layer over networks, from the shares lost by each."""
    return 1 + float((1 - found).sum())


def passes(
    stack: str, width: int, dtypes: Sequence[str], most: int, draws: int, seed: int, device: str
) -> Passes:
    """Plain passes of the same networks, weights of float32 rounded to each dtype."""
    place = find_device(device)
    generator = torch.Generator(place).manual_seed(seed)
    size = max(1, ENTRIES // width**2)
    groups = [min(size, draws - k) for k in range(0, draws, size)]
    parts = [_group(stack, width, dtypes, most, count, generator) for count in groups]
    depth = max(part.logs.shape[1] for part in parts)
    logs = [
        np.pad(p.logs, ((0, 0), (0, depth - p.logs.shape[1])), constant_values=np.nan)
        for p in parts
    ]
    lost = {d: np.concatenate([part.lost[d] for part in parts]) for d in dtypes}
    return Passes(lost, np.concatenate(logs))


def _group(
    stack: str,
    width: int,
    dtypes: Sequence[str],
    most: int,
    draws: int,
    generator: torch.Generator,
) -> Passes:
    net, (activation, std) = network(stack, width, 1), STACKS[stack]
    layer, law = net[f"{activation}_1"].layer, vp.init.normal(std=std).at(width, width)
    x = torch.randn(draws, 1, width, generator=generator, device=generator.device)
    x = x * width**0.5 / x.norm(dim=-1, keepdim=True)
    values = {dtype: x.to(find_dtype(dtype)) for dtype in dtypes}
    lost = {dtype: np.zeros(draws, int) for dtype in dtypes}
    logs = []
    for depth in range(1, most + 1):
        w = law.sample((draws, width, width), generator=generator, device=generator.device)
        for dtype in [d for d in dtypes if not lost[d].all()]:
            z = values[dtype] @ w.to(find_dtype(dtype)).mT
            gone = ~torch.isfinite(z).all(-1) | (z == 0).all(-1)
            gone = gone[:, 0].cpu().numpy()
            lost[dtype] = np.where(gone & (lost[dtype] == 0), depth, lost[dtype])
            values[dtype] = layer.apply((), z)
            if dtype == "float32":
                root = z.double().square().mean(-1).sqrt()[:, 0].cpu().numpy()
                logs.append(np.log(np.where(lost[dtype] > 0, np.nan, root)))
        if all(lost[d].all() for d in dtypes):
            break
    return Passes(lost, np.array(logs).T)


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """The passes of every width without activation, and of each stack at one of them."""
    margin = parameters["margin"]
    arrays: dict[str, np.ndarray] = {}
    claims, networks = [], {}
    seeds = iter(streams(seed, 2 * len(parameters["widths"]) + 2))
    for stack in STACKS:
        every = parameters["widths"] if stack in (UP, DOWN) else [parameters["width"]]
        for width in every:
            wide = width > parameters["widest_float64"]
            draws = parameters["wide_draws" if wide else "draws"]
            dtypes = DTYPES[:3] if wide or (stack == DOWN and width < 256) else DTYPES
            dtypes = dtypes if stack in (UP, DOWN) else ("float32",)
            most = parameters["tanh_layers"] if "tanh" in stack else 4000
            made = passes(stack, width, dtypes, most, draws, next(seeds), device)
            law = vp.init.normal(std=STACKS[stack][1])
            net = network(stack, width, made.logs.shape[1])
            networks[f"{stack}, width {width}"] = describe(net, weights=law, draws=draws)
            if stack in (UP, DOWN):
                for dtype in dtypes:
                    found = made.lost[dtype]
                    predicted = shares(stack, width, dtype, device)
                    judge = _early if stack == DOWN else _by_layer
                    claims.append(judge(found, predicted, margin, dtype, width))
                    arrays[f"{stack} {dtype} {width}"] = np.array(
                        [expected_layer(predicted), found.mean(), *np.quantile(found, (0.05, 0.95))]
                    )
            if width == parameters["width"]:
                line = _typical(stack, net)
                claims.append(_size_claim(made.logs, line, margin, stack))
                arrays[f"{stack} line"] = line
                with np.errstate(all="ignore"):
                    arrays[f"{stack} size"] = np.nanmean(made.logs[:, : _whole(made.logs)], 0)
    about = provenance(parameters, seed, [Tensors(find_device(device).type)], networks)
    return Results(arrays, tuple(claims), about)


def _typical(stack: str, net: vp.Network) -> np.ndarray:
    """Log root mean square of the dense layers, by the mean of its logarithm where known."""
    names = [node.name for node in net if node.name.startswith("dense")]
    if "tanh" in stack:
        theory = vp.predict(net)
        return np.array([np.log(theory.value(n, "second_moment")[0]) / 2 for n in names])
    return np.array([vp.length_law(net, node=name).log_mean / 2 for name in names])


def _whole(logs: np.ndarray) -> int:
    """The number of layers that no network has lost."""
    return int(np.isfinite(logs).all(0).sum())


def _by_layer(
    found: np.ndarray, predicted: np.ndarray, margin: float, dtype: str, width: int
) -> Claim:
    """The share of networks that have overflowed by each layer where that is in doubt."""
    layers = np.flatnonzero((predicted > 1e-4) | (np.append(predicted[1:], 1) > 1e-4)) + 1
    placed, gaps, tests = [], [], len(layers)
    for layer in layers:
        count, share = int(((found > 0) & (found <= layer)).sum()), float(predicted[layer - 1])
        bounds = share - margin, share + margin
        placed.append(share_within(count, len(found), bounds, 2 * LEVEL / tests, tests))
        gaps.append(count / len(found) - share)
    far = int(np.argmax(np.abs(gaps)))
    low, high = (end - predicted[layers[far] - 1] for end in (placed[far].low, placed[far].high))
    statement = (
        "without activation, the share of N(0, 1) networks that have overflowed by a layer is the "
        f"predicted one, within {percent(margin, 0).lstrip('+')} of all at every layer (error rate "
        f"{LEVEL:g} a series)"
    )
    evidence = (
        f"Widest gap {percent(gaps[far])} in [{percent(low)}, {percent(high)}], "
        f"{dtype}, width {width}, layer {layers[far]}, {len(found)} networks"
    )
    where = "overflow", f"{dtype} {width}", gaps[far], ERROR_RATE
    return Claim(statement, str(overall(one.verdict for one in placed)), evidence, *where)


def _early(
    found: np.ndarray, predicted: np.ndarray, margin: float, dtype: str, width: int
) -> Claim:
    """The share of networks whose signal is lost more than NEAR layers from the prediction."""
    expected = round(expected_layer(predicted))
    away = int((np.abs(found - expected) > NEAR).sum())
    placed = share_within(away, len(found), (-np.inf, margin), 2 * LEVEL)
    statement = (
        f"all but {percent(margin, 0).lstrip('+')} of N(0, 0.01²) networks lose their signal "
        f"within {NEAR} layers of the prediction (error rate {LEVEL:g} a series)"
    )
    evidence = (
        f"At most {percent(placed.high).lstrip('+')} are further; lost at {found.min()} to "
        f"{found.max()}, predicted {expected}, {dtype}, width {width}, {len(found)} networks"
    )
    where = "underflow", f"{dtype} {width}", away / len(found), ERROR_RATE
    return Claim(statement, str(placed.verdict), evidence, *where)


def _size_claim(logs: np.ndarray, line: np.ndarray, margin: float, stack: str) -> Claim:
    """The typical size over the predicted one, at the last layer that no network has lost."""
    last = _whole(logs) - 3 * (stack == DOWN)  # above the numbers of few digits
    gaps = logs[:, last - 1] - line[last - 1]
    placed, gap = mean_is(gaps, 0.0, margin, SIZE_LEVEL), float(gaps.mean())
    statement = (
        "the typical size of the signal is the predicted one at the last layer that float32 "
        f"holds, its logarithm within {margin:g} "
        f"(error rate {SIZE_LEVEL:g} a series)"
    )
    evidence = (
        f"{stack}: layer {last}, {percent(np.expm1(gap))}, logarithm off by {gap:+.3f} in "
        f"[{placed.low:+.3f}, {placed.high:+.3f}], {len(logs)} networks"
    ).replace("-", "−")
    told = placed.refusal or evidence
    return Claim(statement, str(placed.verdict), told, "size", stack, gap, ERROR_RATE)


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        "Left: typical root mean square of the layers of networks of width "
        f"{about['width']} in float32, unit inputs (points; crosses: lost); lines: theory. Right: "
        "first layer that is not finite, or all zeros; lines: mean over networks by theory; "
        "points: measured mean, bars: 5 and 95 % of networks. Layers count from 1: "
        "what is printed as layer 31 of a loop that starts at 0 is layer 32."
    )
    figure = style.page(results, 3.0, note=note)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    _sizes(left, results)
    _lost(middle, results, UP, "overflow")
    _lost(right, results, DOWN, "underflow")
    right.legend(handles=_dtypes(), loc="upper left", fontsize=style.SMALL, borderaxespad=0.2)
    middle.set_ylabel("first lost layer")
    return figure


def _sizes(axes: Axes, results: Results) -> None:
    for (stack, _), look in zip(STACKS.items(), (*style.SERIES[1:], style.SERIES[0]), strict=True):
        doubted = results.doubted("size", stack)
        color = style.ALARM if doubted else look["color"]
        label = f"{stack} ({doubted})" if doubted else stack
        line, size = (results.arrays[f"{stack} {k}"] / np.log(10) for k in ("line", "size"))
        layers = 1 + np.arange(len(line))
        axes.plot(layers, line, color=color, linestyle=look["linestyle"], linewidth=0.8)
        some = slice(None, len(size), 4)
        axes.plot(layers[: len(size)][some], size[some], look["marker"], color=color,
                  markerfacecolor="white", label=label)  # fmt: skip
        if "tanh" not in stack:
            axes.plot(layers[-1], line[-1], "x", color=color, markersize=5)
    for dtype in ("float16", "float32"):
        for stack, va in ((UP, "bottom"), (DOWN, "top")):
            at = log_limit(dtype, stack) / np.log(10)
            axes.axhline(at, color=style.PALE, linewidth=0.6, zorder=0)
            axes.text(1.0, at, dtype, fontsize=style.SMALL, va=va, ha="right",
                      transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set(xlabel="layer", ylabel="log₁₀ of the size", xlim=(-2, 79), ylim=(-56, 74))
    axes.legend(loc="upper left", fontsize=style.SMALL)
    style.letter(axes, "size of the signal")
    style.doubt(axes, results.doubted("size"))


def _dtypes() -> list[Line2D]:
    """Entries of the legend of both panels; the right one may lack a dtype."""
    lines = []
    for dtype, look in zip(DTYPES, style.SERIES, strict=True):
        lines.append(Line2D([], [], label=dtype, markerfacecolor="white"))
        lines[-1].set(**look)
    return lines


def _lost(axes: Axes, results: Results, stack: str, panel: str) -> None:
    widths = results.about["parameters"]["widths"]
    for dtype, look in zip(DTYPES, style.SERIES, strict=True):
        rows = {w: results.arrays.get(f"{stack} {dtype} {w}") for w in widths}
        known = {w: row for w, row in rows.items() if row is not None}
        if not known:
            continue
        expected, mean, low, high = np.array(list(known.values())).T
        wrong = any(results.doubted(panel, f"{dtype} {w}") for w in known)
        color = style.ALARM if wrong else look["color"]
        axes.plot(list(known), expected, color=color, linestyle=look["linestyle"])
        reach = np.maximum([mean - low, high - mean], 0)
        axes.errorbar(list(known), mean, reach, color=color, marker=look["marker"],
                      linestyle="none", markerfacecolor="white", elinewidth=0.8)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="width", ylim=(2, 4000))
    axes.xaxis.set_major_locator(FixedLocator(widths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(FixedLocator([2, 5, 10, 20, 50, 100, 200, 500]))
    axes.yaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FormatStrFormatter("%g"))
    style.letter(axes, TITLES[panel])
    style.doubt(axes, results.doubted(panel))
