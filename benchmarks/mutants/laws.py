"""Mistakes in the law of weights and biases: fans, deviations for variances, cuts."""

from dataclasses import dataclass
from math import nan, pi, sqrt

import torch

from benchmarks.mutants.mutant import ENGINE, THEORY, Mutant, rule
from benchmarks.mutants.networks import (
    CUT_VARIANCE,
    bias,
    cut_at_two,
    funnel,
    he,
    std,
    tanh_net,
    weights,
)
from varprop.builders import mlp
from varprop.initializers import (
    kaiming_normal,
    normal,
    orthogonal,
    sparse,
    uniform,
    variance_scaling,
    xavier_normal,
)
from varprop.layers import Dense
from varprop.layers.base import Parameters


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
        "Xavier for He",
        "Weights are drawn by Glorot's rule, theory states He's.",
        ENGINE,
        funnel,
        weights(lambda d: xavier_normal()),
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
