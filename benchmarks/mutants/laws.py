"""Mistakes in the law of weights and biases: fans, factors, deviations for variances, cuts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan, pi, sqrt

import torch

from benchmarks.mutants.mutant import ENGINE, THEORY, Mistake, Mutant, rule
from varprop.activations import ACTIVATIONS
from varprop.builders import mlp
from varprop.initializers import (
    Initializer,
    get,
    kaiming_normal,
    normal,
    orthogonal,
    sparse,
    torch_default_weight,
    trunc_normal,
    uniform,
    variance_scaling,
    xavier_normal,
)
from varprop.laws import TruncatedNormal
from varprop.layers import Dense, Layer
from varprop.layers.base import Parameters
from varprop.network import Network, Node

WIDTHS = [16, 32, 20, 40, 24]
LECUN = variance_scaling(1, "fan_in", "normal")
CUT_VARIANCE = float(TruncatedNormal(0, 1, -2, 2).variance)  # of a normal cut at two deviations


def weights(make: Callable[[Dense], Initializer | str], only: str = "") -> Mistake:
    """Other weights in all dense layers, or in the one of that name."""

    def mistake(node: Node) -> Layer:
        if isinstance(node.layer, Dense) and only in ("", node.name):
            return replace(node.layer, weights=get(make(node.layer)))
        return node.layer

    return mistake


def bias(make: Callable[[Dense], Initializer | None]) -> Mistake:
    """Other biases where there are some."""

    def mistake(node: Node) -> Layer:
        if isinstance(node.layer, Dense) and node.layer.bias is not None:
            return replace(node.layer, bias=make(node.layer))
        return node.layer

    return mistake


def he(weights: str | Initializer = "kaiming_normal") -> Network:
    return mlp(32, 3, weights=weights)


def funnel(weights: str | Initializer = "kaiming_normal") -> Network:
    return mlp(widths=WIDTHS, weights=weights)


def leaky(weights: str | Initializer) -> Network:
    return mlp(32, 3, activation=ACTIVATIONS["leaky_relu"](0.3), weights=weights)


def with_weights(network: Network, name: str, law: Initializer) -> Network:
    change = weights(lambda d: law, name)
    return Network(tuple(n._replace(layer=change(n)) for n in network))


def tanh_net() -> Network:
    """Weights of variance 1.5/n, biases of variance .2."""
    w, b = normal(variance=1.5 / 32), normal(variance=0.2)
    return mlp(32, 3, activation="tanh", weights=w, bias=b)


def cut_at_two(std: float) -> Initializer:
    return trunc_normal(std=std, a=-2 * std, b=2 * std)


def std(d: Dense) -> float:
    """He's standard deviation."""
    return sqrt(2 / d.fan_in)


@dataclass(frozen=True)
class Unsigned(Dense):
    """Q of the QR decomposition as LAPACK leaves it: not Haar, E Q_ii < 0."""

    def fill(self, parameters: Parameters, generator: torch.Generator) -> None:
        (out,) = parameters
        q, _ = torch.linalg.qr(out.normal_(generator=generator))
        out.copy_(sqrt(2) * q)


MUTANTS = (
    Mutant(
        "fan_out for fan_in",
        "He's variance is divided by the number of outputs.",
        THEORY,
        funnel,
        weights(lambda d: kaiming_normal(mode="fan_out")),
    ),
    Mutant(
        "fan average for fan_in",
        "He's variance is divided by the average of the fans.",
        ENGINE,
        funnel,
        weights(lambda d: variance_scaling(2, "fan_avg", "normal")),
    ),
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
        "Xavier for He",
        "Weights are drawn by Glorot's rule, theory states He's.",
        ENGINE,
        funnel,
        weights(lambda d: xavier_normal()),
    ),
    Mutant(
        "2/sqrt(n) for sqrt(2/n)",
        "The root is taken of n alone.",
        ENGINE,
        he,
        weights(lambda d: normal(std=2 / sqrt(d.fan_in))),
    ),
    Mutant(
        "variance for deviation",
        "The variance 2/n is passed to the sampler as its standard deviation.",
        ENGINE,
        he,
        weights(lambda d: normal(std=2 / d.fan_in)),
    ),
    Mutant(
        "deviation for variance",
        "The standard deviation sqrt(2/n) is taken as the variance.",
        THEORY,
        he,
        weights(lambda d: normal(variance=std(d))),
    ),
    Mutant(
        "bound for deviation",
        "Uniform weights are drawn from -s to s; sqrt(3) is forgotten.",
        ENGINE,
        lambda: he("kaiming_uniform"),
        weights(lambda d: uniform(a=-std(d), b=std(d))),
    ),
    Mutant(
        "sqrt(3) for sqrt(6)",
        "Theory reads the bound sqrt(6/n) as if it were sqrt(3/n).",
        THEORY,
        lambda: he("kaiming_uniform"),
        weights(lambda d: uniform(a=-sqrt(3 / d.fan_in), b=sqrt(3 / d.fan_in))),
    ),
    Mutant(
        "torch's default for He",
        "A plain torch.nn.Linear, of variance 1/(3n), is taken to have He's weights.",
        ENGINE,
        he,
        weights(lambda d: torch_default_weight()),
    ),
    Mutant(
        "truncation forgotten",
        "Weights are cut at two deviations and not widened by 1/.8796 after it.",
        ENGINE,
        lambda: he("he_normal"),
        weights(lambda d: cut_at_two(std(d))),
    ),
    Mutant(
        "truncation doubled",
        "The correction by 1/.8796 is made twice.",
        ENGINE,
        lambda: he("he_normal"),
        weights(lambda d: cut_at_two(std(d) / CUT_VARIANCE)),
    ),
    Mutant(
        "truncation ignored",
        "Theory takes the deviation of the uncut normal for that of the weights.",
        THEORY,
        lambda: mlp(32, 3, weights=cut_at_two(0.25)),
        weights(lambda d: normal(std=0.25)),
    ),
    Mutant(
        "density forgotten",
        "The zeros of sparse weights are not counted in their variance.",
        THEORY,
        lambda: mlp(32, 3, weights=sparse(sparsity=0.25, std=sqrt(2 / 24))),
        weights(lambda d: normal(std=sqrt(2 / 24))),
    ),
    Mutant(
        "1/fan_in for orthogonal",
        "Entries of tall orthogonal matrices are given variance 1/fan_in, as normal ones have.",
        THEORY,
        lambda: funnel(orthogonal(gain=sqrt(2))),
        weights(lambda d: "kaiming_normal"),
    ),
    Mutant(
        "QR without signs",
        "Q is used as LAPACK leaves it: not Haar, with E Q_ii < 0, which ReLU feels.",
        ENGINE,
        lambda: he(orthogonal(gain=sqrt(2))),
        rule(Unsigned),
        by_hand=("second_moment", nan),
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
    Mutant(
        "one-sided weights",
        "Weights are drawn from 0 to r in place of -r to r.",
        ENGINE,
        lambda: he("kaiming_uniform"),
        weights(lambda d: uniform(a=0, b=sqrt(6 / d.fan_in))),
        by_hand=(
            "second_moment",
            0.75 * (32 - 1) / pi,
        ),  # (E w)^2 n (n - 1) (E x)^2, E w^2 as it was, x = relu(z)
    ),
    Mutant(
        "forgotten bias",
        "Theory leaves out the variance of the bias.",
        THEORY,
        tanh_net,
        bias(lambda d: None),
    ),
    Mutant(
        "bias counted twice",
        "Weights' and units' biases are both added.",
        THEORY,
        tanh_net,
        bias(lambda d: normal(variance=2 * d.bias_second)),
    ),
    Mutant(
        "bias deviation for variance",
        "The variance .2 of the bias is passed as its standard deviation.",
        ENGINE,
        tanh_net,
        bias(lambda d: normal(std=d.bias_second)),
    ),
)
