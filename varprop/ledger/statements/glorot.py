"""Glorot & Bengio (2010), LeCun et al. (1998): the linear regime."""

from itertools import pairwise

import torch
from torch import nn

from varprop.activations import identity
from varprop.builders import mlp
from varprop.initializers import (
    kaiming_uniform,
    laplace,
    msra_filler,
    normal,
    uniform,
    xavier_filler,
    xavier_normal,
    xavier_uniform,
)
from varprop.laws import Normal, Uniform
from varprop.layers import Dense, Elementwise
from varprop.ledger.claim import Claim
from varprop.ledger.experiments import Stated, digits, entries, networks, values
from varprop.ledger.statements.he import TAPER, WIDTH, square, variance
from varprop.network import Graph, Network
from varprop.stats import Verdict

GLOROT = "Glorot & Bengio (2010), Understanding the difficulty of training deep networks"
LECUN = "LeCun, Bottou, Orr & Mueller (1998), Efficient BackProp, section 4.6"
XAVIER2 = "blog notes on Xavier initialization, part two"
STANDARD = uniform(-(WIDTH**-0.5), WIDTH**-0.5)


def _rectangular(weights: list[float]) -> Network:
    """The tapered network with one stated weight variance per layer."""
    graph = Graph(TAPER[0])
    x = graph.input
    for i, (m, n) in enumerate(pairwise(TAPER)):
        x = graph.add(Dense(m, n, normal(variance=weights[i])), x)
        if i < len(TAPER) - 2:
            x = graph.add(Elementwise(identity()), x)
    return graph.network()


_PAIRS = list(pairwise(TAPER))
_XAVIER = _rectangular([2 / (m + n) for m, n in _PAIRS])
_XAVIER_DRAWN = mlp(widths=TAPER, activation="identity", weights=xavier_normal())

CLAIMS = (
    Claim(
        name="linear-forward",
        title="The forward recursion of the linear regime",
        statement="Var z^l = Var x * prod n_i Var(w_i), for any iid zero-mean law of the weights",
        source=GLOROT + ", section 4.2",
        derivation="dense-forward",
        rows=("E6",),
        experiments=(
            networks(
                "uniform weights, digits",
                square(STANDARD, "identity"),
                square(kaiming_uniform(a=5**0.5), "identity"),
                inputs=digits,
            ),
            networks(
                "Laplace weights",
                square(laplace(1), "identity", 2),
                square(laplace(1), "identity", 2),
                draws=1600,
            ),
        ),
    ),
    Claim(
        name="backward",
        title="The backward recursion",
        statement="dL/dx_j = sum_i dL/dz_i w_ij, so the gradient's second moment is multiplied by "
        "n_out Var(w) in every layer, over k layers by the product",
        source=XAVIER2 + "; " + GLOROT + ", section 4.2",
        derivation="dense-backward",
        rows=("E1", "E2"),
        experiments=(
            networks(
                "linear, rectangular, digits",
                _XAVIER,
                _XAVIER_DRAWN,
                inputs=digits,
                quantity="grad_second_moment",
            ),
            networks(
                "ReLU, unit inputs",
                variance(1.5 / WIDTH),
                square(normal(std=(1.5 / WIDTH) ** 0.5)),
                quantity="grad_second_moment",
            ),
            values(
                "three linear layers",
                mlp(widths=[64, 128, 256, 192], activation="identity", weights=xavier_normal()),
                [
                    Stated(
                        "input",
                        "grad_second_moment",
                        128 * 2 / (64 + 128) * 256 * 2 / (128 + 256) * 192 * 2 / (256 + 192),
                    )
                ],
                draws=4096,
                quantity="grad_second_moment",
            ),
        ),
    ),
    Claim(
        name="weight-gradient",
        title="The weight gradient is proportional to the signal below",
        statement="dL/dW = h x': a vanishing signal is a vanishing weight gradient; under "
        "U(+-1/sqrt(n)) its variance is the same in every layer of a square linear net",
        source=GLOROT + ", section 4.2; course notes on saturation",
        derivation="dense-backward",
        rows=("C7",),
        experiments=(
            values(
                "standard initialization: equal in all layers, 3^-5",
                square(STANDARD, "identity", 5),
                [Stated(f"dense_{i}", "weight_grad_second_moment", 3.0**-5) for i in (1, 3, 6)],
                draws=3072,
                quantity="weight_grad_second_moment",
            ),
            values(
                "ReLU under Xavier: 2^-(l-1) from below times 2^-(L-l) from above",
                mlp(256, 6, weights=xavier_normal()),
                [Stated("dense_7", "weight_grad_second_moment", 2.0**-6)],
                draws=4096,
                quantity="weight_grad_second_moment",
            ),
        ),
    ),
    Claim(
        name="glorot-compromise",
        title="2/(n_in + n_out) is the compromise of the two conditions",
        statement="forward gain 2 n_in/(n_in + n_out), backward 2 n_out/(n_in + n_out): their "
        "average is one; 2/(n_in + n_out) is the harmonic mean of 1/n_in and 1/n_out",
        source=GLOROT + ", section 4.2; " + XAVIER2,
        derivation="glorot-conditions",
        rows=("E3",),
        experiments=(
            networks("rectangular, unit inputs", _XAVIER, _XAVIER_DRAWN),
            networks("rectangular, digits", _XAVIER, _XAVIER_DRAWN, inputs=digits),
            values(
                "one layer 256 to 64",
                mlp(widths=[256, 64], activation="identity", weights=xavier_normal()),
                [
                    Stated("dense_1", "second_moment", 1.6),
                    Stated("input", "grad_second_moment", 0.4),
                ],
                draws=2048,
            ),
        ),
    ),
    Claim(
        name="glorot-preserves-rectangular",
        title="'With Xavier the variance is preserved', in a net of unequal widths",
        statement="n_in Var(w) = 1 in every layer of a rectangular net under Xavier",
        source="common reading of " + GLOROT,
        derivation="glorot-rectangular",
        rows=("E3",),
        expected=Verdict.REFUTED,
        note="Forward and backward gains differ by n_0/n_L over the net; square nets hold both.",
        experiments=(
            networks(
                "unit inputs",
                _rectangular([1 / m for m, _ in _PAIRS]),
                _XAVIER_DRAWN,
                engine="conditional",
            ),
            networks(
                "digits", _rectangular([1 / m for m, _ in _PAIRS]), _XAVIER_DRAWN, inputs=digits
            ),
        ),
    ),
    Claim(
        name="glorot-uniform",
        title="The uniform bound sqrt(6/(n_in + n_out))",
        statement="Var U(-a, a) = a^2/3, so a = sqrt(6/(n_in + n_out))",
        source=GLOROT + ", section 4.2; " + XAVIER2,
        derivation="glorot-uniform",
        rows=("E4",),
        experiments=(
            entries(
                "torch.nn.init.xavier_uniform_",
                lambda g: nn.init.xavier_uniform_(torch.empty(300, 500), generator=g),
                Uniform(-((6 / 800) ** 0.5), (6 / 800) ** 0.5),
            ),
            networks(
                "varprop's own, digits",
                square(uniform(-((3 / WIDTH) ** 0.5), (3 / WIDTH) ** 0.5), "identity"),
                square(xavier_uniform(), "identity"),
                inputs=digits,
            ),
        ),
    ),
    Claim(
        name="caffe-fillers",
        title="Caffe's XavierFiller and MSRAFiller",
        statement="XavierFiller is U(+-sqrt(3/n)) of variance 1/n, MSRAFiller N(0, 2/n)",
        source="Caffe, filler.hpp, as described in " + XAVIER2,
        derivation="caffe-fillers",
        rows=("E5",),
        experiments=(
            networks(
                "XavierFiller, digits",
                square(uniform(-((3 / WIDTH) ** 0.5), (3 / WIDTH) ** 0.5), "identity"),
                square(xavier_filler(), "identity"),
                inputs=digits,
            ),
            networks("MSRAFiller, ReLU", variance(2 / WIDTH), square(msra_filler())),
            entries(
                "XavierFiller, average of 300 and 500",
                lambda g: xavier_filler("average").at(300, 500).sample((500, 300), generator=g),
                Uniform(-((3 / 400) ** 0.5), (3 / 400) ** 0.5),
            ),
            entries(
                "MSRAFiller, fan_out 500",
                lambda g: msra_filler("fan_out").at(300, 500).sample((500, 300), generator=g),
                Normal(0, 2 / 500),
            ),
        ),
    ),
    Claim(
        name="lecun",
        title="LeCun's 1/n keeps a linear signal",
        statement="Var(w) = 1/fan_in keeps the standard deviation near 1 (no activation)",
        source=LECUN + "; PyTorch notes on initialization",
        derivation="lecun",
        rows=("C2",),
        experiments=(
            networks(
                "unit inputs, randn/sqrt(n)",
                variance(1 / WIDTH, "identity"),
                square(normal(std=WIDTH**-0.5), "identity"),
                engine="conditional",
            ),
            networks(
                "digits, randn/sqrt(n)",
                variance(1 / WIDTH, "identity"),
                square(normal(std=WIDTH**-0.5), "identity"),
                inputs=digits,
            ),
            values(
                "20 layers of 256",
                mlp(256, 20, activation="identity", weights=normal(std=1 / 16), output=None),
                [Stated("dense_20", "second_moment", 1.0)],
                draws=1536,
            ),
        ),
    ),
    Claim(
        name="signal-shrinks",
        title="Under the standard initialization activations and gradients shrink layer by layer",
        statement="U(+-1/sqrt(n)): n Var(w) = 1/3, forward and backward, so both lose a factor 3",
        source=GLOROT + ", section 4.2; course notes on network tricks",
        derivation="signal-shrinks",
        rows=("B8",),
        experiments=(
            networks(
                "unit inputs",
                square(STANDARD, "identity"),
                square(kaiming_uniform(a=5**0.5), "identity"),
            ),
            networks(
                "digits",
                square(STANDARD, "identity"),
                square(kaiming_uniform(a=5**0.5), "identity"),
                inputs=digits,
                quantity="grad_second_moment",
            ),
            values(
                "six layers: 3^-6 both ways",
                mlp(WIDTH, 6, activation="identity", weights=STANDARD, output=None),
                [
                    Stated("identity_6", "second_moment", 3.0**-6),
                    Stated("input", "grad_second_moment", 3.0**-6),
                ],
                draws=3072,
            ),
        ),
    ),
)
