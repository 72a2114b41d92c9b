"""The average singular value of a tanh layer's Jacobian, under the two laws of Glorot and Bengio.

The paper reports about 0.8 with the normalised initialization and 0.5 with the standard one. Its
layers tend to 8/(3 pi) sqrt(n Var w), the mean of the quarter-circle law, as their inputs go to 0;
the slopes of tanh lower it. Theory is a bracket: `JacobianSpectrum` gives moments of the squares,
and Gauss quadratures of these bound the mean root from both sides. Claims: measured layers are
within the bracket and a margin; the published numbers hold, to one digit, for small inputs; that
of the normalised law does not for unit inputs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullLocator

import varprop as vp
from figures import glorot, style
from figures.judging import mean_within
from figures.mean_field import LEVEL, judged
from figures.results import (
    ERROR_RATE,
    Claim,
    Results,
    Tensors,
    describe,
    gap_evidence,
    percent,
    provenance,
    streams,
)
from varprop.montecarlo.devices import find_device
from varprop.montecarlo.jacobian import jacobian
from varprop.montecarlo.shared import load_forward_mode

PUBLISHED = {"standard": 0.5, "normalised": 0.8}
ORDER = 8  # moments of the spectrum
DIGIT = 0.05  # half a unit of the published digit
ENDS = 0.005, 6.0  # of the mean squares of the bands


class Bracket(NamedTuple):
    """Bounds of an average singular value."""

    low: np.ndarray
    high: np.ndarray


def parameters(full: bool) -> dict[str, Any]:
    """Mean squares of the inputs, the smallest and 1 among them, and points of the bands."""
    if full:
        squares = [0.01, 0.1, 0.333, 1.0, 4.0]
        return {"width": 128, "draws": 240, "margin": 0.03, "squares": squares, "grid": 21}
    return {"width": 32, "draws": 240, "margin": 0.06, "squares": [0.01, 0.333, 1.0], "grid": 5}


def compute(parameters: Mapping[str, Any], seed: int, device: str) -> Results:
    """Brackets over inputs and layers, and the Jacobians of drawn layers."""
    width, squares, place = parameters["width"], parameters["squares"], find_device(device)
    arrays: dict[str, np.ndarray] = {}
    claims, networks = [], {}
    seeds = iter(streams(seed, len(PUBLISHED) * len(squares)))
    for init in PUBLISHED:
        found = np.array(
            [measured(init, q, width, parameters["draws"], next(seeds), place) for q in squares]
        )
        brackets = np.array([brackets_of(init, q) for q in squares])
        grid = np.geomspace(*ENDS, parameters["grid"])
        bands = np.array([brackets_of(init, q).mean(1) for q in grid])
        arrays[f"{init} grid"] = np.column_stack([grid, bands])
        arrays[f"{init} brackets"] = brackets
        arrays[f"{init} found"] = found.mean(1)
        for k, q in enumerate(squares):
            for layer in range(glorot.DEPTH):
                row, bracket = found[k][:, layer], Bracket(*brackets[k][:, layer])
                claims.append(_inside(row, bracket, parameters["margin"], init, q, layer + 1))
        claims += _published(init, dict(zip(squares, found.mean(2), strict=True)))
        net = glorot.network(init, width, width, readout=False)
        networks[init] = describe(net, weights=glorot.weights(init), draws=parameters["draws"])
    about = provenance(parameters, seed, [Tensors(place.type, "float64")], networks)
    return Results(arrays, tuple(claims), about)


def one_layer(init: str, width: int) -> vp.Network:
    return vp.mlp(width, 1, activation="tanh", weights=glorot.weights(init), output=None)


def brackets_of(init: str, square: float) -> np.ndarray:
    """(2, layers) lower and upper bounds for inputs with x.x/n = `square`."""
    ends, net, constant = [], one_layer(init, 2), np.ones((1, 2))
    for _ in range(glorot.DEPTH):
        x = square**0.5 * constant
        spectrum = vp.jacobian_spectrum(net, inputs=x)
        ends.append(mean_root([1.0, *(float(spectrum.moment(k)) for k in range(1, ORDER + 1))]))
        square = float(vp.predict(net, x).value("tanh_1", "second_moment")[0])
    return np.array(ends).T


def mean_root(moments: list[float]) -> Bracket:
    """Bounds of E sqrt(s) from E s^k, k = 0 to 8.

    All even derivatives of sqrt are negative and those of 1/sqrt positive, so Gauss quadrature of
    sqrt(s) over the law is above, and that of 1/sqrt(s) over the law weighted by s is below.
    """
    scale = moments[1]
    m = np.array(moments) / scale ** np.arange(len(moments))
    places, masses = _gauss(m[1:])
    low = np.sum(masses / np.sqrt(places))
    places, masses = _gauss(m[:-1])
    return Bracket(low * scale**0.5, np.sum(masses * np.sqrt(places)) * scale**0.5)


def _gauss(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places and masses that share the moments m_0, ..., m_(2k - 1): Golub and Welsch (1969)."""
    k = len(m) // 2
    gram = np.array([m[i : i + k] for i in range(k)])
    shifted = np.array([m[i + 1 : i + 1 + k] for i in range(k)])
    inverse = np.linalg.inv(np.linalg.cholesky(gram))
    places, vectors = np.linalg.eigh(inverse @ shifted @ inverse.T)
    return places, (vectors.T @ inverse @ m[:k]) ** 2


def measured(
    init: str, square: float, width: int, draws: int, seed: int, device: torch.device
) -> np.ndarray:
    """Average singular value of each layer's Jacobian at random inputs: (draws, layers)."""
    load_forward_mode()
    generator = torch.Generator(device).manual_seed(seed)
    how = (generator, torch.float64, device)
    net, found = one_layer(init, width), []
    x = torch.randn(draws, 1, width, generator=generator, dtype=torch.float64, device=device)
    x = x * (square * width) ** 0.5 / x.norm(dim=-1, keepdim=True)
    for _ in range(glorot.DEPTH):
        drawn = {node.name: node.layer.draw(draws, *how) for node in net}
        found.append(torch.linalg.svdvals(jacobian(net, drawn, x))[:, 0].mean(-1).cpu().numpy())
        for name, layer, _ in net.nodes[1:]:
            x = layer.apply(drawn[name], x)
    return np.stack(found, 1)


def _inside(
    row: np.ndarray, bracket: Bracket, margin: float, init: str, square: float, layer: int
) -> Claim:
    """The mean of a row lies in the bracket, or beyond it by less than the margin."""
    middle = (bracket.low + bracket.high) / 2
    reach = float(bracket.high / middle - 1) + margin
    verdict, gap, low, high = judged(row / middle, reach)
    statement = (
        "the average singular value of every layer is in the predicted bracket, or less than "
        f"{percent(margin, 0)[1:]} beyond it"
    )
    evidence = gap_evidence(f"layer {layer}, E x² = {square:g}, {init}", gap, low, high, len(row))
    evidence = evidence.replace("gap", "distance from its middle")
    return Claim(statement, verdict, evidence, "layers", init, gap, ERROR_RATE)


def _published(init: str, found: Mapping[float, np.ndarray]) -> list[Claim]:
    """The average over the layers against the published digit, for small and for unit inputs."""
    digit, small = PUBLISHED[init], min(found)
    verdict, gap, low, high = judged(found[small] / digit, DIGIT / digit)
    evidence = gap_evidence(f"{init}, {digit:g}", gap, low, high, len(found[small]))
    claims = [
        Claim(
            f"for small inputs (E x² = {small:g}) the averages over five layers are the published "
            "0.8 and 0.5, to one digit", verdict, evidence, "inputs", init, gap, ERROR_RATE,
        )
    ]  # fmt: skip
    if init == "normalised":
        unit, bounds = found[1.0] / digit, (-np.inf, -DIGIT / digit)
        placed, gap = mean_within(unit, 1.0, bounds, LEVEL), float(unit.mean() - 1)
        evidence = gap_evidence(f"{init}, {digit:g}", gap, placed.low, placed.high, len(unit))
        statement = (
            f"for unit inputs (E x² = 1) the normalised average is below {digit - DIGIT:g}: not "
            f"{digit:g} to one digit"
        )
        evidence = placed.refusal or evidence
        where = "inputs", init, gap, ERROR_RATE
        claims.append(Claim(statement, str(placed.verdict), evidence, *where))
    return claims


def draw(results: Results) -> Figure:
    about = results.about["parameters"]
    note = (
        "Average singular value of the Jacobian of a tanh layer, inputs and outputs after the "
        f"activation. Bands: bounds from theory; points: {about['draws']} networks of five layers "
        f"of {about['width']} units. Left: inputs with E x² = {_shown(about['squares']):g}. Right: "
        "average over the five layers. Dashed: published numbers; dotted: 8/(3π) √(n Var w), the "
        "limit of small inputs."
    )
    figure = style.page(results, 2.7, note=note)
    left, right = figure.subplots(1, 2, sharey=True)
    shown = about["squares"].index(_shown(about["squares"]))
    layers = np.arange(1, glorot.DEPTH + 1)
    for init, look in zip(PUBLISHED, style.SERIES[1:], strict=False):
        arrays = results.arrays
        _band(left, results, init, look, layers, arrays[f"{init} brackets"][shown].T)
        _points(left, results, init, look, layers, arrays[f"{init} found"][shown])
        grid, *bands = arrays[f"{init} grid"].T
        _band(right, results, init, look, grid, np.column_stack(bands))
        _points(right, results, init, look, about["squares"], arrays[f"{init} found"].mean(1))
    left.set(xlabel="layer", ylabel="average singular value", ylim=(0.2, 1.08))
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(loc="upper left", fontsize=style.SMALL, ncols=2)
    right.set(xscale="log", xlabel="E x² of the inputs")
    right.xaxis.set_minor_locator(NullLocator())
    right.set_xticks([0.01, 0.1, 1])
    right.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    style.letter(left, "by layer")
    style.letter(right, "by size of the inputs")
    style.doubt(left, results.doubted("layers"))
    style.doubt(right, results.doubted("inputs"))
    return figure


def _shown(squares: list[float]) -> float:
    """The inputs of the left panel: nearest to U(-1, 1)."""
    return min(squares, key=lambda q: abs(q - 1 / 3))


def _band(
    axes: Axes,
    results: Results,
    init: str,
    look: Mapping[str, Any],
    x: np.ndarray,
    band: np.ndarray,
) -> None:
    axes.fill_between(x, *band.T, color=look["color"], alpha=0.35, linewidth=0)
    axes.axhline(PUBLISHED[init], color=look["color"], linestyle=(0, (4, 2)), linewidth=0.8)
    limit = 8 / (3 * np.pi) * float(glorot.weights(init).at(1, 1).variance) ** 0.5
    axes.axhline(limit, color=look["color"], linestyle=":", linewidth=0.8)


def _points(
    axes: Axes, results: Results, init: str, look: Mapping[str, Any], x: Any, y: np.ndarray
) -> None:
    doubted = results.doubted("layers", init)
    color = style.ALARM if doubted else look["color"]
    label = f"{init} ({doubted})" if doubted else init
    axes.plot(x, y, look["marker"], color=color, markerfacecolor="white", label=label)
