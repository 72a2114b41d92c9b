"""Saturating activations: what the linear derivation says of them, and what is true."""

from functools import partial

import numpy as np

from varprop.builders import mlp
from varprop.initializers import normal, variance_scaling, xavier_normal
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import Stated, bounded, digits, networks, values
from varprop.ledger.statements.he import DEPTH, WIDTH, square, variance
from varprop.network import Network
from varprop.stats import Verdict

GLOROT = "Glorot & Bengio (2010)"
NOTES = "PyTorch notes on initialization"
TRICKS = "course notes on network tricks"
SMALL = 0.001  # second moment of an input in the linear regime


def small_digit() -> np.ndarray:
    """One digit scaled to x.x/n = SMALL."""
    x = digits(1)
    return x * (SMALL / np.mean(x**2)) ** 0.5


def _biased(weight_variance: float, bias_variance: float, width: int, depth: int) -> Network:
    return mlp(
        width,
        depth,
        activation="tanh",
        weights=normal(variance=weight_variance / width),
        bias=normal(variance=bias_variance),
    )


def _drawn(weight_variance: float, bias_std: float, width: int, depth: int) -> Network:
    weights = variance_scaling(weight_variance, "fan_in", "normal")
    return mlp(width, depth, activation="tanh", weights=weights, bias=normal(std=bias_std))


CLAIMS = (
    Claim(
        name="tanh-with-bias",
        title="The variance map of a tanh network with biases",
        statement="q' = sigma_w^2 E tanh(sqrt(q) Z)^2 + sigma_b^2, gradients by "
        "sigma_w^2 E tanh'(sqrt(q) Z)^2, two inputs by the kernels",
        source="Poole et al. (2016), Schoenholz et al. (2017)",
        derivation="dense-forward",
        rows=("E6",),
        experiments=(
            networks(
                "unit inputs", _biased(1.69, 0.09, WIDTH, DEPTH), _drawn(1.69, 0.3, WIDTH, DEPTH)
            ),
            networks(
                "digits, pairs",
                _biased(1.69, 0.09, WIDTH, 6),
                _drawn(1.69, 0.3, WIDTH, 6),
                inputs=digits,
            ),
            networks(
                "the whole depth, width 256",
                _biased(1.69, 0.09, 256, 8),
                _drawn(1.69, 0.3, 256, 8),
                scope="depth",
                engine="conditional",
                draws=4096,
            ),
        ),
    ),
    Claim(
        name="xavier-tanh",
        title="randn / sqrt(n_in) with zero bias carries a signal through many tanh layers",
        statement="Var(w) = 1/n_in: the second moment follows q' = E tanh(sqrt(q) Z)^2, a slow "
        "decay, and the histograms keep their shape",
        source=TRICKS,
        derivation="xavier-tanh",
        rows=("B2",),
        experiments=(
            networks(
                "unit inputs",
                variance(1 / WIDTH, "tanh"),
                square(normal(std=WIDTH**-0.5), "tanh"),
                engine="conditional",
            ),
            networks(
                "digits",
                variance(1 / WIDTH, "tanh"),
                square(normal(std=WIDTH**-0.5), "tanh"),
                inputs=digits,
            ),
            networks(
                "the whole depth, width 256",
                mlp(256, 8, activation="tanh", weights=normal(variance=1 / 256)),
                mlp(256, 8, activation="tanh", weights=xavier_normal()),
                scope="depth",
                engine="conditional",
                draws=4096,
            ),
        ),
    ),
    Claim(
        name="xavier-keeps-tanh",
        title="'Xavier keeps the variance of tanh activations'",
        statement="Var(w) = 1/n with tanh: E x_20^2 = E x_0^2 = 1",
        source="common reading of " + GLOROT,
        derivation="tanh-not-linear",
        rows=("E6",),
        expected=Verdict.REFUTED,
        note="tanh is not linear: E tanh(z)^2 < E z^2, and q decays like 1/(2l).",
        experiments=(
            values(
                "20 layers of 256",
                mlp(256, 20, activation="tanh", weights=xavier_normal()),
                [Stated("tanh_20", "second_moment", 1.0)],
                draws=1536,
            ),
        ),
    ),
    Claim(
        name="linear-regime",
        title="When the linear derivation is good enough",
        statement="while 2 l q << 1 the activation acts as phi'(0) z: E x_10^2 = E x_0^2 "
        f"for q = {SMALL}",
        source=GLOROT + ", section 4.2.1: the linear regime",
        derivation="linear-regime",
        rows=("E6",),
        experiments=(
            values(
                "a small digit, 10 layers",
                mlp(256, 10, activation="tanh", weights=xavier_normal(), input=64),
                # the first layer is rectangular: 2 n_in / (n_in + n_out)
                [Stated("tanh_10", "second_moment", SMALL * 2 * 64 / (64 + 256))],
                draws=2048,
                inputs=small_digit,
            ),
        ),
    ),
    Claim(
        name="tanh-gain",
        title="Xavier with gain 5/3 levels tanh activations out near 0.65",
        statement="Var(w) = (5/3)^2/n: the standard deviation of x settles at 0.65",
        source=NOTES + "; torch.nn.init.calculate_gain",
        derivation="tanh-not-linear",
        rows=("C3",),
        experiments=(
            values(
                "30 layers of 512",
                mlp(512, 30, activation="tanh", weights=xavier_normal(gain=5 / 3)),
                [Stated("tanh_30", "second_moment", 0.65**2)],
                draws=256,
            ),
            networks(
                "shrinking under 1/sqrt(n), digits",
                variance(1 / WIDTH, "tanh"),
                square(normal(std=1 / WIDTH**0.5), "tanh"),
                inputs=digits,
            ),
            networks(
                "gain 5/3, unit inputs",
                variance(25 / 9 / WIDTH, "tanh"),
                square(xavier_normal(gain=5 / 3), "tanh"),
                engine="conditional",
            ),
        ),
    ),
    Claim(
        name="saturation",
        title="Too large weights saturate tanh and sigmoid, too small ones vanish",
        statement="the local gradient E phi'(z)^2 falls like 1/sqrt(q); a sigmoid network passes "
        "back at most sigma_w^2/16 per layer; small weights lose the signal through ReLU",
        source=NOTES,
        derivation="saturation",
        rows=("C6",),
        experiments=(
            networks(
                "tanh, sigma_w = 3",
                variance(9 / WIDTH, "tanh", 5),
                square(normal(std=3 / WIDTH**0.5), "tanh", 5),
                quantity="grad_second_moment",
            ),
            networks(
                "sigmoid, sigma_w = 5, a digit",
                variance(25 / WIDTH, "sigmoid", 3),
                square(normal(std=5 / WIDTH**0.5), "sigmoid", 3),
                inputs=partial(digits, 1),
                quantity="grad_second_moment",
            ),
            bounded(
                "sigmoid, sigma_w = 5: at most (25/16)^-1 of it is lost",
                mlp(256, 5, activation="sigmoid", weights=normal(std=5 / 16)),
                "input",
                "grad_second_moment",
                25.0 * (25 / 16) ** 5,
                draws=2048,
            ),
            networks(
                "ReLU, std 0.01",
                variance(1e-4),
                square(normal(std=0.01)),
            ),
        ),
    ),
    Claim(
        name="saturation-kills-gradients",
        title="'Too large weights saturate tanh and kill its gradients'",
        statement="tanh, sigma_w = 5: the gradient at the input is at most that at the output",
        source=NOTES,
        derivation="saturation",
        rows=("C6",),
        expected=Verdict.REFUTED,
        note="Units saturate, E phi'^2 ~ 1/sqrt(q), but the factor per layer is "
        "sigma_w^2 E phi'^2, which grows like sigma_w: random tanh networks with large weights "
        "explode backward. "
        "For sigmoid the gradients do vanish, until sigma_w is near 10.",
        experiments=(
            bounded(
                "6 layers of 512",
                mlp(512, 6, activation="tanh", weights=normal(std=5 / 512**0.5)),
                "input",
                "grad_second_moment",
                1.0,
                draws=2048,
            ),
        ),
    ),
)
