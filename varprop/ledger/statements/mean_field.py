"""Mean field: edges of chaos, the laws of decay on them, and dropout."""

from math import asin, pi, sqrt

import numpy as np
import torch

from varprop.activations import Activation
from varprop.builders import mlp
from varprop.initializers import normal, variance_scaling
from varprop.ledger.claim import Claim, Evidence, Experiment, Series, Settings
from varprop.ledger.experiments import ERROR_RATE, MARGIN, Stated, against, values
from varprop.montecarlo import simulate
from varprop.network import Network
from varprop.stats import TooFewDraws, Verdict, overall
from varprop.theory.meanfield import mean_field

POOLE = "Poole et al. (2016)"
SCHOENHOLZ = "Schoenholz et al. (2017)"
HAYOU = "Hayou, Doucet & Rousseau (2019)"
PDLT = "Roberts, Yaida & Hanin (2022), The Principles of Deep Learning Theory, chapter 5"
DRAWS = 256


def stack(
    activation: str | Activation,
    weight: float,
    bias: float = 0.0,
    depth: int = 10,
    width: int = 512,
) -> Network:
    """Layers of fan_in Var(w) = `weight` and Var(b) = `bias`, and a readout of the same."""
    weights = variance_scaling(weight, "fan_in", "normal")
    return mlp(
        width,
        depth,
        activation=activation,
        weights=weights,
        bias=normal(variance=bias) if bias else None,
    )


def _pair(second: float, deficit: float, width: int = 512) -> np.ndarray:
    """Two inputs with x.x/n = `second` and correlation 1 - deficit."""
    c = 1 - deficit
    one, other = np.ones(width), np.where(np.arange(width) % 2, -1.0, 1.0)
    return np.sqrt(second) * np.stack([one, c * one + np.sqrt(1 - c**2) * other])


def _judged(relative: np.ndarray, margin: float, level: float) -> tuple[Verdict, float, float]:
    """The verdict on E relative = 1; UNDECIDED where the test refuses so skewed a sample."""
    try:
        return against(relative, margin, level)
    except TooFewDraws:
        return Verdict.UNDECIDED, -1.0, float("inf")


def gradient_factor(
    name: str, drawn: Network, layers: tuple[int, int], stated: float, second: float = 1.0
) -> Experiment:
    """The factor of gradient second moments per layer, from two layers of a net."""
    low, high = layers

    def run(settings: Settings) -> Evidence:
        x = np.full((1, drawn.sizes[drawn.input]), np.sqrt(second))
        sample = simulate(drawn, x, draws=settings.draws(384), seed=settings.seed,
                          device=settings.device, progress=False)  # fmt: skip
        below, above = (
            sample.values(f"dense_{k}", "grad_second_moment")[:, 0] for k in (low, high)
        )
        factor = stated ** (high - low)
        relative = 1 + (below - factor * above) / (factor * above.mean())
        verdict, first, last = _judged(relative, MARGIN, ERROR_RATE)
        measured = float((below.mean() / above.mean()) ** (1 / (high - low)))
        summary = (
            f"gradients from dense_{high} to dense_{low}: {stated:.6g} per layer stated, measured "
            f"{measured:.6g}; their ratio has a gap in [{first:+.2%}, {last:+.2%}], "
            f"{sample.draws} networks"
        )
        figures = {"stated factor": stated, "measured factor": measured}
        return Evidence(name, verdict, summary, figures)

    return run


def _alignment(
    name: str, drawn: Network, second: float, expected: np.ndarray, margin: float = 0.1
) -> Experiment:
    """E (z - z')^2 / 2 over E z^2 of two inputs by layer, against the deficits that are stated.

    `expected` (layers,) starts at dense_1; the inputs are scaled to put E z^2 there to its fixed
    point. Judged at the last two layers.
    """

    def run(settings: Settings) -> Evidence:
        x = _pair(second, float(_first_deficit(drawn, second, expected[0])))
        sample = simulate(drawn, x, draws=settings.draws(DRAWS), seed=settings.seed,
                          device=settings.device, progress=False)  # fmt: skip
        names = [f"dense_{k + 1}" for k in range(len(expected))]
        measured, ends, verdicts = [], [], []
        for node, deficit in zip(names, expected, strict=True):
            square = sample.values(node, "second_moment")
            cross = sample.values(node, "cross_moment")[:, 0, 1]
            scale = float(square.mean())
            excess = square.mean(1) - cross - deficit * square.mean(1)
            relative = 1 + excess / scale / deficit
            verdict, low, high = _judged(relative, margin, ERROR_RATE / 2)
            verdicts.append(verdict)
            measured.append(float(relative.mean()) * deficit)
            ends.append((deficit * (1 + low), deficit * (1 + high)))
        layers = tuple(float(k + 1) for k in range(len(expected)))
        low, high = (tuple(float(e[i]) for e in ends) for i in (0, 1))
        series = Series("1 - c", layers, tuple(map(float, expected)), tuple(measured), low, high)
        summary = "; ".join(
            f"{names[k]}: 1 - c = {expected[k]:.6g} stated, measured {measured[k]:.6g} in "
            f"[{low[k]:.6g}, {high[k]:.6g}]"
            for k in (-2, -1)
        )
        figures = {"networks": float(sample.draws), "1 - c at the end": measured[-1]}
        axes = ("layer", "1 - c")
        return Evidence(name, overall(verdicts[-2:]), summary, figures, (series,), axes)

    return run


def _first_deficit(drawn: Network, second: float, deficit: float) -> float:
    """1 - c of inputs that have it as `deficit` after the first layer, whose bias both share."""
    layer = drawn["dense_1"].layer
    width = drawn.sizes[drawn.input]
    gained = float(layer.weights.at(width, width).variance) * width * second  # type: ignore[attr-defined]
    bias = 0.0 if layer.bias is None else float(layer.bias.at(width, width).variance)  # type: ignore[attr-defined]
    return deficit * (gained + bias) / gained


def _dropout(keep: float, stated: float, depth: int = 12, width: int = 512) -> Experiment:
    """ReLU networks with He's rule corrected for dropout, two masks for one input.

    Given the two activations the neurons of the next layer are iid Gaussian pairs, so each layer
    is drawn from the Gram matrix: exact in law, without weight matrices.
    """

    def run(settings: Settings) -> Evidence:
        generator = torch.Generator().manual_seed(settings.seed)
        draws = settings.draws(DRAWS)
        gram = 2 * keep * torch.ones(draws, 2, 2, dtype=torch.float64)
        for _ in range(depth):
            factor = torch.linalg.cholesky(gram + 1e-12 * torch.eye(2))
            z = factor @ torch.randn(draws, 2, width, generator=generator, dtype=torch.float64)
            mask = torch.rand(z.shape, generator=generator) < keep
            x = torch.relu(z) * mask / keep
            gram = 2 * keep / width * x @ x.mT
        square = gram.diagonal(dim1=1, dim2=2).mean(-1).numpy()
        # the next layer's z, whose covariance is the Gram matrix: E z z' over E z^2
        excess = gram[:, 0, 1].numpy() - stated * square
        relative = 1 + excess / square.mean() / stated
        verdict, low, high = _judged(relative, MARGIN, ERROR_RATE)
        measured = float(relative.mean()) * stated
        summary = (
            f"{depth} layers of {width}, {draws} networks: c* = {stated:.6g} stated, measured "
            f"{measured:.6g}, gap in [{low:+.2%}, {high:+.2%}]"
        )
        return Evidence(name, verdict, summary, {"stated": stated, "measured": measured})

    name = f"keep {keep}"
    return run


def _vanishing(activation: str, first: float, last: float) -> Experiment:
    """Values and gradients over 8 layers that take E z^2 from `first` to `last`."""
    return values(
        f"{activation}, 8 layers",
        stack(activation, 1.0, depth=8, width=1024),
        [
            Stated("dense_9", "second_moment", last),
            Stated("dense_1", "grad_second_moment", last / first),
        ],
        inputs=lambda: np.full((1, 1024), sqrt(first)),
        draws=512,
        margin=0.1,
    )


EDGE = 1.760954639606739  # tanh, sigma_b^2 = 0.05
ERF_BIAS = 0.5 - sqrt(3) / 2 * asin(0.5)


def _aligned(activation: str, weight: float, bias: float, layers: int) -> np.ndarray:
    field = mean_field(activation, weight_variance=weight, bias_variance=bias)
    return field.iterate_correlation(0.5, layers - 1)


CLAIMS = (
    Claim(
        name="poole-example",
        title="tanh with sigma_w = 1.3, sigma_b = 0.3: the variance settles, gradients shrink",
        statement="q* = 0.607047; gradient second moments shrink by 0.939807 per layer: ordered",
        source=f"{POOLE}, the setting of its figures; {SCHOENHOLZ} for the gradients",
        derivation="mean-field-chi",
        rows=("E6",),
        experiments=(
            values(
                "q*, from 1",
                stack("tanh", 1.69, 0.09),
                [Stated("dense_7", "second_moment", 0.607047)],
                draws=DRAWS,
            ),
            gradient_factor("gradients", stack("tanh", 1.69, 0.09), (5, 7), 0.939807, 0.306),
        ),
    ),
    Claim(
        name="erf-edge-of-chaos",
        title="The edge of chaos of erf in closed form",
        statement="sigma_w^2 = (pi/4) sqrt(1 + 4 q*), sigma_b^2 = q* - sqrt(1 + 4 q*)/2 "
        "asin(2 q*/(1 + 2 q*)); at q* = 1/2 the variance settles and gradients keep their size",
        source="the notion is that of " + SCHOENHOLZ,
        derivation="erf-critical-line",
        experiments=(
            values(
                "q* = 1/2",
                stack("erf", pi / 4 * sqrt(3), ERF_BIAS),
                [Stated("dense_7", "second_moment", 0.5)],
                draws=DRAWS,
            ),
            gradient_factor(
                "gradients", stack("erf", pi / 4 * sqrt(3), ERF_BIAS), (5, 7), 1.0, 0.333
            ),
        ),
    ),
    Claim(
        name="relu-alignment",
        title="Two inputs of a He-initialized ReLU network align like 1/l^2",
        statement="1 - c_l ~ 9 pi^2/(2 l^2) in depth, by e' = e - 2 sqrt(2)/(3 pi) e^(3/2) + ...",
        source=HAYOU,
        derivation="relu-correlation-decay",
        experiments=(
            _alignment(
                "from c = 0.5", stack("relu", 2.0, depth=6), 0.5, _aligned("relu", 2.0, 0.0, 7)
            ),
        ),
    ),
    Claim(
        name="tanh-alignment",
        title="On the edge of chaos of tanh two inputs align like 1/l",
        statement="sigma_b^2 = 0.05, sigma_w^2 = 1.760955: 1 - c_l ~ 6.171/l, and gradients keep "
        "their size",
        source=f"{SCHOENHOLZ}; {HAYOU}",
        derivation="smooth-correlation-decay",
        experiments=(
            _alignment(
                "from c = 0.5",
                stack("tanh", EDGE, 0.05, depth=6),
                (0.570048 - 0.05) / EDGE,
                _aligned("tanh", EDGE, 0.05, 7),
            ),
            gradient_factor("gradients", stack("tanh", EDGE, 0.05), (5, 7), 1.0, 0.295),
        ),
    ),
    Claim(
        name="vanishing-variance",
        title="At Var(w) = 1/n a signal dies like a power of the depth: tanh 1/l, softsign 1/l^2",
        statement="from E z^2 = q_0, after l layers: tanh 1/(1/q_0 + 2 l), so 1/(2 l) in depth; "
        "softsign 1/(1/sqrt(q_0) + l sqrt(8/pi))^2, so pi/(8 l^2); gradients shrink as much",
        source=f"{PDLT}, for tanh and other smooth activations",
        derivation="vanishing-variance",
        note="phi'' of softsign jumps at 0, so that E phi^2 lacks q^(3/2) and not only q^2.",
        experiments=(
            _vanishing("tanh", 0.05, 1 / (20 + 2 * 8)),
            _vanishing("softsign", 0.0025, (20 + 8 * sqrt(8 / pi)) ** -2),
        ),
    ),
    Claim(
        name="dropout-decorrelates",
        title="Dropout keeps two copies of one input apart",
        statement="He's rule with dropout, n Var(w) = 2 p: the correlation of two passes of one "
        "input settles at c* = p J(c*): 0.627146 for p = 0.9, 0.472799 for p = 0.8",
        source=f"{SCHOENHOLZ}, section 4; Pretorius et al. (2018)",
        derivation="dropout-correlation",
        experiments=(_dropout(0.9, 0.627146), _dropout(0.8, 0.472799)),
    ),
)
