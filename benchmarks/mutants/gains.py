"""Mistakes in the factor of the variance: of another activation, or at the wrong layer."""

from math import sqrt

from benchmarks.mutants.mutant import ENGINE, THEORY, Mutant
from benchmarks.mutants.networks import LECUN, he, leaky, weights, with_weights
from varprop.builders import mlp
from varprop.initializers import (
    kaiming_normal,
    normal,
    torch_default_weight,
    variance_scaling,
)

MUTANTS = (
    Mutant(
        "1/n for 2/n",
        "The half of the power that ReLU cuts off is forgotten.",
        THEORY,
        he,
        weights(lambda d: LECUN),
    ),
    Mutant(
        "2/n for 1/n",
        "A linear network is given ReLU's factor.",
        THEORY,
        lambda: mlp(32, 3, activation="identity", weights=LECUN),
        weights(lambda d: "kaiming_normal"),
    ),
    Mutant(
        "2/sqrt(n) for sqrt(2/n)",
        "The root is taken of n alone.",
        ENGINE,
        he,
        weights(lambda d: normal(std=2 / sqrt(d.fan_in))),
    ),
    Mutant(
        "torch's default for He",
        "A plain torch.nn.Linear, of variance 1/(3n), is taken to have He's weights.",
        ENGINE,
        he,
        weights(lambda d: torch_default_weight()),
    ),
    Mutant(
        "gain of tanh",
        "A linear network's weights are drawn with the gain 5/3 of tanh.",
        ENGINE,
        lambda: mlp(32, 3, activation="identity", weights=LECUN),
        weights(lambda d: variance_scaling(25 / 9, "fan_in", "normal")),
    ),
    Mutant(
        "torch's gain of SELU",
        "Weights are drawn with calculate_gain('selu') = 3/4; SELU's fixed point needs 1.",
        ENGINE,
        lambda: mlp(32, 3, activation="selu", weights=LECUN),
        weights(lambda d: kaiming_normal(nonlinearity="selu")),
    ),
    Mutant(
        "gain of ReLU for leaky ReLU",
        "The slope .3 is left out of 2/(1 + .09).",
        THEORY,
        lambda: leaky(kaiming_normal(a=0.3)),
        weights(lambda d: "kaiming_normal"),
    ),
    Mutant(
        "leaky slope not squared",
        "Weights are drawn with 2/(1 + .3) for 2/(1 + .3^2).",
        ENGINE,
        lambda: leaky(kaiming_normal(a=0.3)),
        weights(lambda d: kaiming_normal(a=sqrt(0.3))),
    ),
    Mutant(
        "rectified too early",
        "The factor 2 is applied to the first layer as well, whose input is not rectified.",
        THEORY,
        lambda: with_weights(he(), "dense_1", LECUN),
        weights(lambda d: "kaiming_normal", "dense_1"),
    ),
    Mutant(
        "readout like the rest",
        "The readout of variance 1/n is taken to have He's factor.",
        THEORY,
        lambda: with_weights(he(), "dense_4", LECUN),
        weights(lambda d: "kaiming_normal", "dense_4"),
    ),
)
